/**
 * The admin API: status and health to look at, actions to carry out, as JSON over HTTP.
 *
 * One table of routes (routes.ts); this file finds the route, lets request-guard.ts check what changes something, and turns what the
 * handler says into an answer. Errors are `{error: sentence}`: 400 asked for wrongly, 403 not allowed, 404 and 405 not served,
 * 409 cannot be done now. What a handler throws beyond SkeinError is a bug and ends the process like any other.
 */

import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { SkeinError } from "@skein/kernel";
import { createHttpServer } from "@skein/platform";
import { formatHostPort, type HostPort } from "../config/addresses.ts";
import type { NodeActions } from "./node-actions.ts";
import { readBody, refusal } from "./request-guard.ts";
import { Answer, type Route, statusCodeOf } from "./route.ts";
import { ROUTES } from "./routes.ts";

export interface AdminOptions {
  readonly address: HostPort;
  /** Who may change something: programs on this machine, or everybody who reaches the port. */
  readonly httpActions: "local" | "any";
}

export interface AdminApi {
  /** The port it really got. */
  readonly port: number;
  close(): void;
}

/** Connections in total, and how long one may take to say what it wants: a stranger must not use up the process. */
const CONNECTIONS_MAX = 64;
const REQUEST_TIMEOUT_MS = 2000;
/** How long an answered connection may wait for its next request. */
const KEEP_ALIVE_MS = 5000;

/** Opens the API. @throws {SkeinError} ERR_SKEIN_PORT_IN_USE, ERR_SKEIN_LISTEN */
export function openAdminApi(
  options: AdminOptions,
  node: NodeActions,
  routes: readonly Route[] = ROUTES,
): Promise<AdminApi> {
  const { address, httpActions } = options;
  const server = createHttpServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
    const { socket } = request;
    const findAnswer = answer(request, routes, httpActions, node, () => arrived(socket));
    findAnswer.then((said) => send(response, said), failUnlessGone(request));
  });
  server.maxConnections = CONNECTIONS_MAX;
  const arrived = boundRequests(server);
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(address, error)));
    server.listen(address.port, address.host, () => {
      resolve({ port: (server.address() as AddressInfo).port, close: () => closeNow(server) });
    });
  });
}

/**
 * Closes connections whose request has not come whole in time. Returns what is told when one has.
 *
 * Node would look for such connections all the time, whether there are any or not, and as often as silent ones must not hold all places for
 * longer: twice a second, a sixth of the wake-ups of a node that has nothing to do.
 */
function boundRequests(server: Server): (socket: Socket) => void {
  const deadlines = new WeakMap<Socket, NodeJS.Timeout>();
  const arrived = (socket: Socket): void => clearTimeout(deadlines.get(socket));
  const expect = (socket: Socket, withinMs: number): void => {
    arrived(socket);
    deadlines.set(
      socket,
      setTimeout(() => socket.destroy(), withinMs),
    );
  };
  server.on("connection", (socket: Socket) => {
    expect(socket, REQUEST_TIMEOUT_MS);
    socket.once("close", () => arrived(socket));
  });
  server.on("request", ({ socket }: IncomingMessage, response: ServerResponse) => {
    response.once("finish", () => {
      if (!socket.destroyed) expect(socket, KEEP_ALIVE_MS + REQUEST_TIMEOUT_MS);
    });
  });
  return arrived;
}

/** A connection that breaks in the middle of its request is the asker's business. */
function failUnlessGone(request: IncomingMessage): (error: unknown) => void {
  return (error) => {
    if (!request.destroyed || request.complete) throw error;
  };
}

async function answer(
  request: IncomingMessage,
  routes: readonly Route[],
  httpActions: AdminOptions["httpActions"],
  node: NodeActions,
  arrived: () => void,
): Promise<Answer> {
  const [path = "/", query] = (request.url ?? "/").split("?", 2);
  const route = findRoute(routes, request.method === "HEAD" ? "GET" : request.method, path);
  if (route instanceof Answer) return route;
  let body: Readonly<Record<string, unknown>> | Answer = {};
  if (route.method === "POST") body = refusal(request, httpActions) ?? (await readBody(request));
  if (body instanceof Answer) return body;
  // The answer may take its time: an exercise does.
  arrived();
  try {
    const said = await route.handle({ query: new URLSearchParams(query), body }, node);
    return said instanceof Answer ? said : new Answer(200, said ?? {});
  } catch (error) {
    if (error instanceof SkeinError) return new Answer(statusCodeOf(error), { error: error.message });
    throw error;
  }
}

function findRoute(routes: readonly Route[], method: string | undefined, path: string): Route | Answer {
  const here = routes.filter((route) => route.path === path);
  if (here.length === 0) return new Answer(404, { error: "not found; try /api/status" });
  return (
    here.find((route) => route.method === method) ??
    new Answer(405, { error: `only ${here.map((route) => route.method).join(" and ")} is served here` })
  );
}

function send(response: ServerResponse, { statusCode, body }: Answer): void {
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(statusCode, {
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
    // What was not read of a refused request must not be taken for the next one.
    ...(response.req.complete ? {} : { connection: "close" }),
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
