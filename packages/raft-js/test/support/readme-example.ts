import {
  EMPTY_STATE,
  encodeConfiguration,
  type RaftEffect,
  type RaftEvent,
  type RaftMessage,
  RaftNode,
} from "raft-js";

const ids = ["a", "b", "c"];
const configuration = { voters: ids, votersOutgoing: [], learners: [] };
const options = {
  randomBelow: (bound: number) => Math.floor(bound / 2), // use a seeded generator
  heartbeatMs: 250,
  electionMinMs: 3200,
  electionMaxMs: 4800,
  appendBytesMax: 65_536,
  inflightMax: 16,
  uncommittedBytesMax: 1_048_576,
  entriesKept: 1000,
};
// The same first entry on all three; a cluster that grows from one server uses foundingState instead.
const first = { index: 1, term: 1, kind: "configuration", data: encodeConfiguration(configuration) } as const;
const initial = { ...EMPTY_STATE, hardState: { term: 1, votedFor: undefined }, entries: [first] };
const nodes = new Map(ids.map((id) => [id, new RaftNode({ ...options, id }, initial, 0)]));
export const applied = new Map<string, string[]>(ids.map((id) => [id, []]));

/** Mail of this toy network: delivered in order, nothing is lost. */
const mail: { from: string; to: string; message: RaftMessage }[] = [];

function step(id: string, event: RaftEvent, now: number): void {
  for (const effect of nodes.get(id)?.step(event, now) ?? []) carryOut(id, effect, now);
}

function carryOut(id: string, effect: RaftEffect, now: number): void {
  if (effect.kind === "persist") {
    // A real driver starts the write here and does the rest when it is safe.
    for (const { to, message } of effect.sendAfter) mail.push({ from: id, to, message });
    step(id, { kind: "persisted", index: effect.index, term: effect.term }, now);
  }
  if (effect.kind === "send") mail.push({ from: id, to: effect.to, message: effect.message });
  if (effect.kind === "apply") {
    const commands = effect.entries.filter((entry) => entry.kind === "command");
    applied.get(id)?.push(...commands.map((entry) => String.fromCharCode(...entry.data)));
  }
}

function deliver(now: number): void {
  for (let next = mail.shift(); next !== undefined; next = mail.shift()) {
    step(next.to, { kind: "receive", from: next.from, message: next.message }, now);
  }
}

let now = 0;
while (now < 10_000) {
  now = Math.min(...[...nodes.values()].map((node) => node.wakeAt));
  for (const [id, node] of nodes) if (node.wakeAt <= now) step(id, { kind: "wake" }, now);
  deliver(now);
}
export const leader = ids.find((id) => nodes.get(id)?.status().role === "leader") ?? "nobody";
step(leader, { kind: "propose", commands: [Uint8Array.from([104, 105])] }, now);
deliver(now); // now `applied` holds "hi" three times
