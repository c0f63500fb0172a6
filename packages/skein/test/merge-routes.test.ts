/** `skein merge` and `skein conflicts`: what the admin API does for them, and what people read. */

import type { ClusterId, Completion } from "@skein/kernel";
import { expect, test } from "vitest";
import { mergeRoutes, type ShownConflict, shownConflict } from "../src/admin/merge-routes.ts";
import type { NodeActions } from "../src/admin/node-actions.ts";
import { formatConflicts } from "../src/cli/merge.ts";

const REQUEST = { query: new URLSearchParams(), body: {} };
const OTHER = "22222222-2222-4222-8222-222222222222" as ClusterId;

function handle(method: string, path: string, actions: Partial<NodeActions>): Promise<unknown> {
  const route = mergeRoutes.find((each) => each.method === method && each.path === path);
  return (async () => route?.handle(REQUEST, actions as NodeActions))();
}

test("an approval is answered when the cluster has agreed, and with a sentence when no other cluster is in sight", async () => {
  const approveMerge = (done: Completion): ClusterId => {
    setTimeout(() => done.settle(0), 1);
    return OTHER;
  };
  expect(await handle("POST", "/api/merge", { approveMerge })).toEqual({ approved: OTHER });
  const none = handle("POST", "/api/merge", { approveMerge: () => undefined });
  await expect(none).rejects.toThrow("No other cluster of this mesh is in sight. Look with: skein status");
});

test("conflicts are listed with both origins and times, and cleared", async () => {
  const message = {
    topic: "home/lamp",
    payload: Buffer.from("on"),
    qos: 1,
    retain: true,
    properties: undefined,
  } as const;
  const kept = { cluster: OTHER, stamp: 1_790_000_060_000 * 1024, isDeletion: false };
  const lost = { cluster: "loser" as ClusterId, stamp: 1_790_000_000_000 * 1024 + 7 };
  const shown: ShownConflict = shownConflict({ id: 1, message, lost, kept });
  expect(shown).toEqual({
    topic: "home/lamp",
    lost: { payload: "b24=", cluster: "loser", atMs: 1_790_000_000_000, isDeletion: false },
    kept: { cluster: OTHER, atMs: 1_790_000_060_000, isDeletion: false },
  });
  expect(formatConflicts([shown], 0)).toMatch(
    /home\/lamp +on +2026-09-21 14:13:20 +another value +2026-09-21 14:14:20/,
  );
  const deleted = shownConflict({ id: 2, message: { ...message, payload: Buffer.alloc(0) }, lost, kept });
  expect(formatConflicts([deleted], 0)).toMatch(
    /home\/lamp +\(deleted\) +2026-09-21 14:13:20 +another value/,
  );
  expect(formatConflicts([shown], 7)).toContain("7 older ones are not listed any more");
  expect(formatConflicts([], 0)).toBe("No retained values have given way to others.");
  const actions = { conflicts: () => [shown], clearConflicts: (done: Completion) => done.settle(0) };
  expect(await handle("POST", "/api/conflicts/clear", actions)).toEqual({ cleared: 1 });
});
