import type { Incarnation, NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import type { PeerView } from "../src/index.ts";
import { PeerWrites, type Proposed } from "../src/retained/peer-writes.ts";
import { UNKNOWN_MACHINE } from "./support/peer-view.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

const [A, B] = ["a", "b"] as NodeId[] as [NodeId, NodeId];
const RUN = 7 as Incarnation;

function peer(id: NodeId, differs: Partial<PeerView> = {}): PeerView {
  return { ...UNKNOWN_MACHINE, id, name: id, state: "alive", cluster: undefined, isLinked: true, ...differs };
}

/** The others, and how far the replica has taken what they propose. */
class Mesh {
  readonly clock = new VirtualClock();
  readonly asked: string[] = [];
  readonly taken = new Map<NodeId, number>();
  peers = [peer(A), peer(B)];
  readonly writes = new PeerWrites({
    clock: this.clock,
    peers: () => this.peers,
    ask: (to, request) => this.asked.push(`${to} ${request}`),
    isTaken: (node, { incarnation, seq }) => incarnation < RUN || (this.taken.get(node) ?? 0) >= seq,
  });

  told(node: NodeId, request: number, seq: number): void {
    this.writes.told(node, request, { incarnation: RUN, seq });
  }
}

test("a question is over when the replica has taken what each had proposed when it answered", () => {
  const mesh = new Mesh();
  mesh.writes.ask(5);
  expect(mesh.asked).toEqual(["a 5", "b 5"]);
  mesh.told(A, 5, 0);
  expect(mesh.writes.heldThrough()).toBe(4);
  mesh.told(B, 5, 3);
  mesh.taken.set(B, 2);
  expect(mesh.writes.heldThrough()).toBe(4);
  mesh.taken.set(B, 3);
  expect(mesh.writes.heldThrough()).toBe(Number.POSITIVE_INFINITY);
});

test("what was proposed later is of no concern to an earlier question", () => {
  const mesh = new Mesh();
  mesh.taken.set(A, 1);
  for (const [request, seq] of [
    [1, 1],
    [2, 9],
  ] as const) {
    mesh.writes.ask(request);
    mesh.told(A, request, seq);
    mesh.told(B, request, 0);
  }
  expect(mesh.writes.heldThrough()).toBe(1);
});

test("it is waited for a quarter of a second, whether a node has not answered or cannot write", () => {
  const mesh = new Mesh();
  mesh.writes.ask(1);
  mesh.clock.advance(100);
  mesh.writes.ask(2);
  mesh.told(A, 2, 4);
  mesh.clock.advance(149);
  expect(mesh.writes.heldThrough()).toBe(0);
  mesh.clock.advance(1);
  expect(mesh.writes.heldThrough()).toBe(1);
  mesh.clock.advance(100);
  expect(mesh.writes.heldThrough()).toBe(Number.POSITIVE_INFINITY);
});

test("nobody waits for a node that is not linked or is suspect, for an earlier run of one, or for who was not asked", () => {
  const mesh = new Mesh();
  mesh.peers = [peer(A, { isLinked: false }), peer(B, { state: "suspect" })];
  mesh.writes.ask(1);
  expect(mesh.asked).toEqual([]);
  expect(mesh.writes.heldThrough()).toBe(Number.POSITIVE_INFINITY);
  mesh.peers = [peer(A)];
  mesh.writes.ask(2);
  const earlier: Proposed = { incarnation: (RUN - 1) as Incarnation, seq: 100 };
  mesh.told(B, 2, 100);
  mesh.told(A, 1, 100);
  expect(mesh.writes.heldThrough()).toBe(1);
  mesh.writes.told(A, 2, earlier);
  expect(mesh.writes.heldThrough()).toBe(Number.POSITIVE_INFINITY);
});
