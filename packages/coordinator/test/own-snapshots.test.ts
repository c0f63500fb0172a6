import type { ApplicationMessage, Incarnation, Log, NodeId } from "@skein/kernel";
import type { RaftEffect, SnapshotPoint } from "raft-js";
import { expect, test } from "vitest";
import { Journal } from "../src/journal/journal.ts";
import { OwnSnapshots } from "../src/replica/own-snapshots.ts";
import { encodeCommand, type Operation } from "../src/state-machine/commands.ts";
import { StateMachine } from "../src/state-machine/state-machine.ts";
import { MemoryDisk } from "./support/memory-disk.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

const LOG: Log = { error() {}, warn() {}, info() {}, debug() {} };
const configuration = { voters: ["a"], votersOutgoing: [], learners: ["b"] };
const at = (index: number): SnapshotPoint => ({ index, term: 1, configuration });

function snapshots(partedBytes = Number.POSITIVE_INFINITY) {
  const disk = new MemoryDisk();
  const clock = new VirtualClock();
  const { journal } = Journal.open(disk, "journal", LOG, 0);
  const machine = new StateMachine();
  const saved: number[] = [];
  const own = new OwnSnapshots(
    journal,
    machine,
    { snapshot: { ...at(10), data: machine.snapshot() }, parts: undefined },
    { entries: 5, bytes: 1000, partedBytes },
    {
      clock,
      saved: ({ index }) => saved.push(index),
      failed: (error) => {
        throw error;
      },
    },
  );
  const piece = (minIndex: number) => {
    const effect = {
      kind: "sendSnapshot",
      to: "b",
      term: 1,
      index: undefined,
      offset: 0,
      bytesMax: 1000,
    } as const;
    const message = own.piece({ ...effect, minIndex } satisfies RaftEffect);
    return message?.kind === "installSnapshot" ? message.point.index : undefined;
  };
  return { clock, disk, machine, own, saved, piece };
}

test("a snapshot is saved after so many entries, or so many bytes of them", () => {
  const { disk, own, saved } = snapshots();
  for (let index = 11; index <= 15; index++) {
    own.saveWhenDue(at(index));
    own.noteApplied(1);
  }
  expect(disk.pending).toBe(0);
  own.saveWhenDue(at(15));
  own.noteApplied(1000);
  own.saveWhenDue(at(16));
  disk.settle();
  expect(saved, "one at a time").toEqual([15]);
  own.saveWhenDue(at(16));
  disk.settle();
  expect(saved).toEqual([15, 16]);
});

test("the larger the state, the longer the log may get: snapshots write four times what comes in, not more", () => {
  const { clock, disk, machine, own, saved } = snapshots();
  const envelope = { node: "00000000000000aa" as NodeId, incarnation: 1 as Incarnation, seq: 1 };
  const message = {
    topic: "t",
    payload: new Uint8Array(80_000),
    qos: 1,
    retain: true,
    properties: undefined,
  } as const;
  machine.apply(encodeCommand({ envelope, stamp: 1, operation: { kind: "retainedSet", message } }), 1);
  own.noteApplied(1000);
  own.saveWhenDue(at(11));
  clock.advance(1000);
  disk.settle();
  expect(saved).toEqual([11]);
  own.noteApplied(19_000);
  own.saveWhenDue(at(12));
  for (let index = 13; index <= 45; index++) own.noteApplied(1);
  own.saveWhenDue(at(45));
  expect(disk.pending).toBe(0);
  own.noteApplied(1100);
  own.saveWhenDue(at(46));
  clock.advance(1000);
  disk.settle();
  expect(saved).toEqual([11, 46]);
});

test("a follower that needs a newer snapshot than the saved one has to wait for it, and it is saved at once", () => {
  const { disk, own, saved, piece } = snapshots();
  expect(piece(10)).toBe(10);
  own.saveWhenDue(at(12));
  disk.settle();
  expect(saved).toEqual([]);
  expect(piece(12)).toBeUndefined();
  own.saveWhenDue(at(12));
  disk.settle();
  expect(saved).toEqual([12]);
  expect(piece(12)).toBe(12);
});

test("a state that is going to be replaced is not saved, and one that is being saved meanwhile is void", () => {
  const { disk, machine, own, saved, piece } = snapshots();
  own.noteApplied(1000);
  own.saveWhenDue(at(11));
  own.hold();
  own.replacedBy({ ...at(10), data: machine.snapshot() });
  disk.settle();
  own.noteApplied(1000);
  own.saveWhenDue(at(12));
  disk.settle();
  expect(saved).toEqual([]);
  expect(piece(10)).toBe(10);
  own.release();
  own.saveWhenDue(at(12));
  disk.settle();
  expect(saved).toEqual([12]);
});

test("a large state is written down in pieces, as it was when it was due, whatever is applied between them", () => {
  const { clock, disk, machine, own, saved } = snapshots();
  let index = 0;
  const apply = (operation: Operation): void => {
    const envelope = { node: "000000000000000a" as NodeId, incarnation: 1 as Incarnation, seq: ++index };
    machine.apply(encodeCommand({ envelope, stamp: index, operation }), index);
  };
  const opening = {
    clientId: "c",
    cleanStart: true,
    expirySeconds: 100,
    keepAliveSeconds: 60,
    will: undefined,
  };
  const limits = { queuedMessagesMax: 1000, queuedBytesMax: 8_000_000 };
  apply({ kind: "open", opening: { ...opening, ...limits } });
  const how = { qos: 1, noLocal: false, retainAsPublished: false, identifier: undefined } as const;
  apply({
    kind: "subscribe",
    clientId: "c",
    claim: 1,
    wishes: [{ filter: "t/+", ...how, retainHandling: 0 }],
  });
  const message = (at: number): ApplicationMessage => {
    const payload = new Uint8Array(10_000).fill(at % 256);
    return { topic: `t/${at}`, payload, qos: 1, retain: true, properties: undefined };
  };
  const publish = (at: number): void => {
    apply({ kind: "publish", publisher: undefined, served: [], message: message(at) });
  };
  for (let at = 0; at < 200; at++) publish(at);
  const asItWas = machine.snapshot();
  own.noteApplied(1000);
  own.saveWhenDue(at(20));
  // Every kind of change to what is still to be written down.
  for (let at = 100; at < 300; at++) publish(at);
  apply({ kind: "retainedDelete", topic: "t/150" });
  const ordinals = [...(machine.sessions.get("c")?.queue ?? [])].map(({ ordinal }) => ordinal);
  const some = ordinals.filter((_, place) => place < 3 || place === 150);
  apply({ kind: "acknowledge", sessions: [{ clientId: "c", claim: 1, ordinals: some }] });
  expect(disk.pending, "not all at once").toBe(0);
  clock.advance(100);
  disk.settle();
  expect(saved).toEqual([20]);
  expect(own.newest?.data).toEqual(asItWas);
  expect(machine.snapshot()).not.toEqual(asItWas);
});

test("what is being written down is given up when the state is replaced, and when the node stops", () => {
  for (const end of ["replaced", "stopped"]) {
    const { clock, disk, machine, own, saved } = snapshots();
    const envelope = { node: "000000000000000a" as NodeId, incarnation: 1 as Incarnation, seq: 1 };
    const message: ApplicationMessage = {
      topic: "t",
      payload: new Uint8Array(800_000),
      qos: 1,
      retain: true,
      properties: undefined,
    };
    machine.apply(encodeCommand({ envelope, stamp: 1, operation: { kind: "retainedSet", message } }), 1);
    own.noteApplied(1000);
    own.saveWhenDue(at(11));
    if (end === "stopped") own.stop();
    else own.replacedBy({ ...at(12), data: machine.snapshot() });
    clock.advance(100);
    expect([disk.pending, saved], end).toEqual([0, []]);
    own.release();
    own.noteApplied(800_000);
    own.saveWhenDue(at(13));
    clock.advance(100);
    disk.settle();
    expect(saved, end).toEqual(end === "stopped" ? [] : [13]);
  }
});

test("a state that owes much is saved in parts; a follower that asks gets it whole, as it was at the same entry", () => {
  const { clock, disk, machine, own, saved, piece } = snapshots(1000);
  let seq = 0;
  const apply = (operation: Operation): void => {
    const envelope = { node: "000000000000000a" as NodeId, incarnation: 1 as Incarnation, seq: ++seq };
    machine.apply(encodeCommand({ envelope, stamp: seq, operation }), seq);
  };
  const opening = {
    clientId: "c",
    cleanStart: true,
    expirySeconds: 60,
    keepAliveSeconds: 60,
    will: undefined,
  };
  apply({ kind: "open", opening: { ...opening, queuedMessagesMax: 1000, queuedBytesMax: 10_000_000 } });
  const how = { qos: 1, noLocal: false, retainAsPublished: false, identifier: undefined } as const;
  const wishes = [{ filter: "t", ...how, retainHandling: 0 }] as const;
  apply({ kind: "subscribe", clientId: "c", claim: 1, wishes });
  const message = { topic: "t", payload: new Uint8Array(10_000), qos: 1, retain: false } as const;
  const publish = (): void => {
    const published = { ...message, properties: undefined };
    apply({ kind: "publish", publisher: undefined, served: [], message: published });
  };
  const save = (index: number): void => {
    own.noteApplied(1_000_000);
    own.saveWhenDue(at(index));
    publish();
    clock.advance(100);
    disk.settle();
  };
  for (let count = 0; count < 30; count++) publish();
  save(20);
  const parts = disk.list("journal").filter((name) => name.endsWith(".part"));
  expect([saved, parts.length, own.newest]).toEqual([[20], 1, undefined]);

  expect(piece(0), "there is none at hand").toBeUndefined();
  const asItWas = machine.snapshot();
  save(21);
  expect(saved).toEqual([20, 21]);
  expect([piece(21), own.newest?.data]).toEqual([21, asItWas]);

  const { state, snapshotData, snapshotParts } = Journal.open(disk.clone(), "journal", LOG, 0);
  expect(state.snapshot.index).toBe(21);
  const restored = new StateMachine();
  restored.restore(snapshotData as Uint8Array, snapshotParts);
  expect(restored.snapshot()).toEqual(asItWas);
});
