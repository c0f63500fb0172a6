import type { MonotonicMs, NodeId } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { SCORE_MARGIN, scoreOf } from "../src/membership/node-score.ts";
import { type Seen, VoterWatch } from "../src/membership/voter-watch.ts";
import type { PeerView } from "../src/options.ts";
import { UNKNOWN_MACHINE } from "./support/peer-view.ts";

const [A, B, C, D] = ["a", "b", "c", "d"].map((digit) => digit.repeat(16)) as [
  NodeId,
  NodeId,
  NodeId,
  NodeId,
];

const peer = (id: NodeId, changes: Partial<PeerView> = {}): PeerView => ({
  id,
  name: id.slice(0, 1),
  state: "alive",
  cluster: undefined,
  isLinked: true,
  ...UNKNOWN_MACHINE,
  flushP99Ms: 10,
  rttMs: 1,
  uptimeMs: 3_600_000,
  ...changes,
});

/** A leads, B and C vote, D learns; all have everything. Returns what is seen at each second. */
class Mesh {
  readonly watch = new VoterWatch();
  readonly peers = new Map([A, B, C, D].map((id) => [id, peer(id)]));
  readonly heardAt = new Map<NodeId, number>();
  readonly matchIndex = new Map<NodeId, number>();
  readonly silent = new Set<NodeId>();
  now = 100_000;

  look(): Seen {
    for (const id of [B, C, D]) if (!this.silent.has(id)) this.heardAt.set(id, this.now);
    const followers = new Map(
      [B, C, D].map((id) => {
        return [id, { matchIndex: this.matchIndex.get(id) ?? 1000, lastHeardAt: this.heardAt.get(id) }];
      }),
    );
    return this.watch.look({
      now: this.now as MonotonicMs,
      self: A,
      voters: [A, B, C],
      learners: [D],
      raft: { followers, lastIndex: 1000 },
      peers: this.peers,
      silenceMs: 3200,
    });
  }

  run(seconds: number): Seen {
    for (let second = 0; second < seconds; second++) {
      this.look();
      this.now += 1000;
    }
    return this.look();
  }

  set(id: NodeId, changes: Partial<PeerView>): void {
    this.peers.set(id, { ...(this.peers.get(id) as PeerView), ...changes });
  }
}

test("a voter is dead after 30 s of silence that the member list confirms; either alone is not enough", () => {
  const mesh = new Mesh();
  mesh.look();
  mesh.silent.add(B);
  mesh.set(B, { state: "dead" });
  mesh.silent.add(C);
  expect([...mesh.run(29).dead]).toEqual([]);
  expect([...mesh.run(1).dead]).toEqual([B]);
  mesh.set(C, { state: "suspect" });
  expect([...mesh.run(60).dead]).toEqual([B]);
  mesh.peers.delete(C);
  expect([...mesh.look().dead]).toEqual([B, C]);
  mesh.silent.delete(B);
  expect([...mesh.look().dead]).toEqual([C]);
});

test("a new leader counts the silence from its own beginning", () => {
  const mesh = new Mesh();
  mesh.silent.add(B);
  mesh.set(B, { state: "dead" });
  expect([...mesh.run(31).dead]).toEqual([B]);
  mesh.watch.reset();
  expect([...mesh.run(29).dead]).toEqual([]);
  expect([...mesh.run(1).dead]).toEqual([B]);
});

test("a learner has settled after 10 s within 250 entries, and begins anew when it falls behind", () => {
  const mesh = new Mesh();
  mesh.matchIndex.set(D, 750);
  expect([...mesh.look().caughtUp]).toEqual([D]);
  expect([...mesh.run(9).settled]).toEqual([]);
  expect([...mesh.run(1).settled]).toEqual([D]);
  mesh.matchIndex.set(D, 749);
  expect([...mesh.look().settled]).toEqual([]);
  mesh.matchIndex.set(D, 751);
  expect([...mesh.run(9).settled]).toEqual([]);
  expect([...mesh.run(1).settled]).toEqual([D]);
});

test("a learner that is away for a day is gone, not sooner", () => {
  const mesh = new Mesh();
  mesh.look();
  mesh.silent.add(D);
  mesh.set(D, { state: "dead" });
  mesh.now += 24 * 3_600_000 - 1000;
  expect([...mesh.look().gone]).toEqual([]);
  mesh.now += 1000;
  expect([...mesh.look().gone]).toEqual([D]);
});

test("better for ten minutes by a clear margin, without a break: then a voter is surpassed and the leader has a successor", () => {
  const mesh = new Mesh();
  for (const id of [A, B, C]) mesh.set(id, { isWired: false });
  mesh.set(D, { isWired: true });
  mesh.run(10);
  expect([...mesh.run(599).surpassed]).toEqual([]);
  expect([...mesh.run(1).surpassed]).toEqual([B, C]);
  mesh.set(B, { isWired: true });
  expect(mesh.run(599).successor).toBeUndefined();
  mesh.set(B, { isWired: false });
  mesh.look();
  mesh.set(B, { isWired: true });
  expect(mesh.run(599).successor).toBeUndefined();
  expect(mesh.run(1).successor).toBe(B);
});

test("measurements that jitter within a factor of ten, and a restart, never move anybody", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 1000 }), { minLength: 900, maxLength: 900 }), (noise) => {
      const mesh = new Mesh();
      // Equal disks and ways; B was restarted.
      mesh.set(B, { uptimeMs: 0 });
      for (const [second, value] of noise.entries()) {
        mesh.set(D, { flushP99Ms: 10 + (value % 90), rttMs: 1 + (value % 9) });
        mesh.set(C, { flushP99Ms: 10 + ((value * 7) % 90), rttMs: 1 + ((value * 3) % 9) });
        mesh.set(B, { uptimeMs: second * 1000 });
        const seen = mesh.run(1);
        expect([...seen.surpassed, seen.successor]).toEqual([undefined]);
      }
    }),
    { numRuns: 20 },
  );
});

test("a cable counts more than anything else, a disk a hundred times as fast is a clear difference, an unknown one is average", () => {
  const usual = peer(A);
  const wifi = scoreOf({ ...usual, isWired: false });
  expect(scoreOf({ ...usual, isWired: true })).toBeGreaterThan(wifi + SCORE_MARGIN);
  expect(scoreOf({ ...usual, isWired: true, uptimeMs: 0, rttMs: 1000 })).toBeGreaterThan(wifi);
  const disk = (flushP99Ms: number): number => scoreOf({ ...usual, flushP99Ms });
  expect(disk(2) - disk(256)).toBeGreaterThanOrEqual(SCORE_MARGIN);
  expect(disk(8) - disk(64)).toBeLessThan(SCORE_MARGIN);
  expect(disk(1)).toBeGreaterThan(disk(0));
  expect(disk(1000)).toBeLessThan(disk(0));
});
