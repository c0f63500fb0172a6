/**
 * Status and health over HTTP, for `skein status`, supervisors and scripts. Read-only.
 *
 * GET /healthz (200 while the process answers), /readyz (200 when clients are let in, else 503), /api/status, /api/members,
 * /api/retained (`{count, digest}`; `?entries=1` adds topics and base64 payloads, read in one go so that they fit the digest).
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type ApplicationMessage, SkeinError } from "@skein/kernel";
import { formatHostPort, type HostPort } from "./config/addresses.ts";
import type { NodeStatus } from "./node-status.ts";

/** What the API shows. */
export interface AdminSources {
  status(): NodeStatus;
  isServing(): boolean;
  readonly retained: {
    readonly count: number;
    digest(): string;
    entries(): Iterable<ApplicationMessage>;
  };
}

export interface AdminApi {
  /** The port it really got. */
  readonly port: number;
  close(): void;
}

/** Connections in total, and how long one may take to say what it wants: a stranger must not use up the process. */
const CONNECTIONS_MAX = 64;
const REQUEST_TIMEOUT_MS = 2000;
/** How often Node looks for such connections; its default of 30 s would let silent ones hold all places for that long. */
const TIMEOUT_CHECK_MS = 500;

/** Opens the API. @throws {SkeinError} ERR_SKEIN_PORT_IN_USE, ERR_SKEIN_LISTEN */
export function openAdminApi(address: HostPort, sources: AdminSources): Promise<AdminApi> {
  const limits = {
    headersTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
  };
  const server = createServer(limits, (request, response) => answer(request, response, sources));
  server.maxConnections = CONNECTIONS_MAX;
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(address, error)));
    server.listen(address.port, address.host, () => {
      resolve({ port: (server.address() as AddressInfo).port, close: () => closeNow(server) });
    });
  });
}

function answer(request: IncomingMessage, response: ServerResponse, sources: AdminSources): void {
  if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET");
    send(response, 405, { error: "only GET is served here" });
    return;
  }
  const [path = "/", query] = (request.url ?? "/").split("?", 2);
  const [statusCode, body] = documentAt(path, new URLSearchParams(query), sources);
  send(response, statusCode, body);
}

function documentAt(path: string, query: URLSearchParams, sources: AdminSources): readonly [number, unknown] {
  switch (path) {
    case "/healthz":
      return [200, { alive: true }];
    case "/readyz":
      return [sources.isServing() ? 200 : 503, { ready: sources.isServing() }];
    case "/api/status":
      return [200, sources.status()];
    case "/api/members":
      return [200, sources.status().members];
    case "/api/retained":
      return [200, retained(sources, query.get("entries") === "1")];
    default:
      return [404, { error: "not found; try /api/status" }];
  }
}

function retained({ retained }: AdminSources, withEntries: boolean): unknown {
  const summary = { count: retained.count, digest: retained.digest() };
  if (!withEntries) return summary;
  const entries = Array.from(retained.entries(), ({ topic, payload, qos }) => ({
    topic,
    qos,
    payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("base64"),
  }));
  return { ...summary, entries };
}

function send(response: ServerResponse, statusCode: number, body: unknown): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(statusCode, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
  });
  response.end(text);
}

function closeNow(server: Server): void {
  server.close();
  server.closeAllConnections();
}

function listenError(address: HostPort, error: NodeJS.ErrnoException): SkeinError {
  if (error.code === "EADDRINUSE") {
    return new SkeinError(
      "ERR_SKEIN_PORT_IN_USE",
      `Port ${address.port} is already in use. Stop the other program, or choose another port with --http ${formatHostPort({ ...address, port: address.port + 1 })}`,
      { cause: error },
    );
  }
  return new SkeinError(
    "ERR_SKEIN_LISTEN",
    `Cannot serve HTTP on ${formatHostPort(address)} (${error.code}). Choose an address of this machine with --http HOST:PORT`,
    { cause: error },
  );
}
