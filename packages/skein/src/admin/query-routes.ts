/**
 * Status and health over HTTP, for `skein status`, supervisors and scripts.
 *
 * GET /healthz (200 while the process answers, 503 once it stops), /readyz (200 when clients are let in, else 503), /api/status, /api/members,
 * /api/retained (`{count, digest}`; `?entries=1` adds topics and base64 payloads, read in one go so that they fit the digest).
 */

import type { ApplicationMessage } from "@skein/kernel";
import type { NodeStatus } from "../node-status.ts";
import { Answer, type Route } from "./route.ts";

/** What these routes show. */
export interface QueryActions {
  status(): NodeStatus;
  /** Clients are let in. */
  isServing(): boolean;
  /** It was asked to stop, or can no longer run. */
  isStopping(): boolean;
  readonly retained: {
    readonly count: number;
    digest(): string;
    entries(): Iterable<ApplicationMessage>;
  };
}

export const queryRoutes: readonly Route[] = [
  {
    method: "GET",
    path: "/healthz",
    handle: (_, node) => {
      const alive = !node.isStopping();
      return new Answer(alive ? 200 : 503, { alive });
    },
  },
  {
    method: "GET",
    path: "/readyz",
    handle: (_, node) => {
      const ready = node.isServing();
      return new Answer(ready ? 200 : 503, { ready });
    },
  },
  { method: "GET", path: "/api/status", handle: (_, node) => node.status() },
  { method: "GET", path: "/api/members", handle: (_, node) => node.status().members },
  {
    method: "GET",
    path: "/api/retained",
    handle: ({ query }, node) => retained(node, query.get("entries") === "1"),
  },
];

function retained({ retained }: QueryActions, withEntries: boolean): unknown {
  const summary = { count: retained.count, digest: retained.digest() };
  if (!withEntries) return summary;
  const entries = Array.from(retained.entries(), ({ topic, payload, qos }) => ({
    topic,
    qos,
    payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("base64"),
  }));
  return { ...summary, entries };
}
