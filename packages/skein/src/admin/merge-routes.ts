/**
 * Merging with another cluster, and what gave way then or after a loss of the quorum: POST /api/merge approves, GET /api/conflicts lists, POST
 * /api/conflicts/clear forgets those that are known when it is asked.
 */

import { type Conflict, msOfStamp } from "@skein/coordinator";
import { type ClusterId, type Completion, SkeinError } from "@skein/kernel";
import type { Route } from "./route.ts";

/** A value that gave way to another. Times are the ones of the cluster that took the other in, in ms since 1970. */
export interface ShownConflict {
  readonly topic: string;
  /** The value that lost, in base64, and where and when it was written; a deletion lost where `isDeletion` is true. */
  readonly lost: {
    readonly payload: string;
    readonly cluster: string;
    readonly atMs: number;
    readonly isDeletion: boolean;
  };
  /** What is served instead; a deletion won where `isDeletion` is true. */
  readonly kept: { readonly cluster: string; readonly atMs: number; readonly isDeletion: boolean };
}

/** What these routes do. */
export interface MergeActions {
  approveMerge(done: Completion): ClusterId | undefined;
  conflicts(): readonly ShownConflict[];
  clearConflicts(done: Completion): void;
}

export function shownConflict({ message: { topic, payload }, lost, kept }: Conflict): ShownConflict {
  return {
    topic,
    lost: {
      payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("base64"),
      cluster: lost.cluster,
      atMs: msOfStamp(lost.stamp),
      isDeletion: payload.length === 0,
    },
    kept: { cluster: kept.cluster, atMs: msOfStamp(kept.stamp), isDeletion: kept.isDeletion },
  };
}

/** A write of a mesh with a coordinator takes milliseconds. */
const DONE_WITHIN_MS = 2500;
/** What a Completion says of a command that is committed. */
const COMMITTED = 0;

export const mergeRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/api/merge",
    handle: async (_, node) => {
      let other: ClusterId | undefined;
      await whenDone((done) => {
        other = node.approveMerge(done);
        if (other === undefined)
          throw new SkeinError(
            "ERR_SKEIN_REFUSED",
            "No other cluster of this mesh is in sight. Look with: skein status",
          );
      });
      return { approved: other };
    },
  },
  { method: "GET", path: "/api/conflicts", handle: (_, node) => node.conflicts() },
  {
    method: "POST",
    path: "/api/conflicts/clear",
    handle: async (_, node) => {
      const cleared = node.conflicts().length;
      await whenDone((done) => node.clearConflicts(done));
      return { cleared };
    },
  },
];

/** @throws {SkeinError} ERR_SKEIN_REFUSED if there is no coordinator to agree */
function whenDone(begin: (done: Completion) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (): void => {
      const text =
        "Not yet: no coordinator has confirmed it. It is done as soon as there is one; look with: skein status";
      reject(new SkeinError("ERR_SKEIN_REFUSED", text));
    };
    const timer = setTimeout(refuse, DONE_WITHIN_MS);
    begin({
      settle: (reasonCode) => {
        clearTimeout(timer);
        if (reasonCode === COMMITTED) resolve();
        else refuse();
      },
    });
  });
}
