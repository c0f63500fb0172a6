import { SkeinError } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { StateMachine } from "../../src/state-machine/state-machine.ts";
import { steps, worldOf } from "./session-steps.ts";
import { A, SessionWorld, wish } from "./session-world.ts";

/** So small that every history has many slabs. */
const SLAB_BYTES = 128;

function saved(machine: StateMachine): { readonly parts: readonly Uint8Array[]; readonly data: Uint8Array } {
  const { parts, data } = machine.snapshotInParts();
  for (;;) {
    const { done, value } = data.next();
    if (done === true) return { parts, data: value };
  }
}

function owing(): SessionWorld {
  const world = new SessionWorld();
  const claim = world.open(A, "c");
  world.subscribe(A, "c", claim, wish("t/+", { qos: 1 }));
  for (let at = 0; at < 20; at++) world.publish(A, `t/${at}`, `message ${at}`, 1);
  return world;
}

/** The state of `world` on a node with small slabs. */
function replicaOf(world: SessionWorld): StateMachine {
  const machine = new StateMachine(SLAB_BYTES);
  for (const [at, bytes] of world.log.entries()) machine.apply(bytes, at + 1);
  return machine;
}

test("a replica that is restored from parts in the middle of any history ends in the same state, byte for byte", () => {
  const histories = fc.array(steps, { minLength: 1, maxLength: 80 });
  fc.assert(
    fc.property(histories, fc.nat(), (history, cut) => {
      const world = worldOf(history);
      const at = cut % (world.log.length + 1);
      const before = new StateMachine(SLAB_BYTES);
      for (const [index, bytes] of world.log.slice(0, at).entries()) before.apply(bytes, index + 1);
      const { data, parts } = saved(before);
      const restored = new StateMachine(SLAB_BYTES);
      restored.restore(data, parts);
      expect(restored.snapshot()).toEqual(before.snapshot());
      const { owed } = restored.sessions;
      expect([owed.count, owed.bytes, owed.entries]).toEqual([
        before.sessions.owed.count,
        before.sessions.owed.bytes,
        before.sessions.owed.entries,
      ]);
      expect(saved(restored)).toEqual({ data, parts });
      for (const [index, bytes] of world.log.slice(at).entries()) {
        restored.apply(bytes, at + index + 1);
        before.apply(bytes, at + index + 1);
      }
      expect(restored.snapshot()).toEqual(world.machine.snapshot());
      expect(before.snapshot()).toEqual(world.machine.snapshot());
    }),
    { numRuns: 500 },
  );
});

test("a part never changes, and is the same array in every snapshot that has it, also after a restart", () => {
  fc.assert(
    fc.property(fc.array(steps, { minLength: 20, maxLength: 80 }), (history) => {
      const { log } = worldOf(history);
      let machine = new StateMachine(SLAB_BYTES);
      const seen = new Map<Uint8Array, string>();
      for (const [at, bytes] of log.entries()) {
        machine.apply(bytes, at + 1);
        if (at % 5 !== 0) continue;
        const { data, parts } = saved(machine);
        for (const part of parts) seen.set(part, part.join());
        if (at % 15 !== 0) continue;
        machine = new StateMachine(SLAB_BYTES);
        machine.restore(data, parts);
        for (const [place, part] of saved(machine).parts.entries()) expect(part).toBe(parts[place]);
      }
      for (const [part, content] of seen) expect(part.join()).toBe(content);
    }),
  );
});

test("most of what a node owes is in parts, which the next snapshot has again", () => {
  const world = owing();
  const machine = replicaOf(world);
  const before = saved(machine);
  expect(before.parts.length).toBeGreaterThan(2);
  for (let at = 0; at < 20; at++) {
    world.publish(A, `t/${at}`, `later ${at}`, 1);
    machine.apply(world.log.at(-1) as Uint8Array, world.log.length);
  }
  expect(saved(machine).parts.slice(0, before.parts.length)).toEqual(before.parts);
  for (const [at, part] of before.parts.entries()) expect(saved(machine).parts[at]).toBe(part);
});

test("parts are for the own disk: what comes from others is refused in this form", () => {
  const { data } = saved(replicaOf(owing()));
  expect(() => new StateMachine().restore(data)).toThrow(SkeinError);
});

test("data and parts that are changed, or do not belong together, are refused or mean something, and never end a process", () => {
  const { data, parts } = saved(replicaOf(owing()));
  const restore = (bytes: Uint8Array, from: readonly Uint8Array[]): void => {
    try {
      new StateMachine().restore(bytes, from);
    } catch (error) {
      expect(error).toBeInstanceOf(SkeinError);
    }
  };
  expect(() => new StateMachine().restore(data, parts.slice(1))).toThrow(SkeinError);
  expect(() => new StateMachine().restore(data, parts.toReversed())).toThrow(SkeinError);
  fc.assert(
    fc.property(fc.nat(data.length - 1), fc.nat(255), fc.nat(parts.length - 1), (at, value, chosen) => {
      restore(data.slice(0, at), parts);
      const changed = (bytes: Uint8Array): Uint8Array =>
        bytes.map((byte, place) => (place === at % bytes.length ? value : byte));
      restore(changed(data), parts);
      restore(
        data,
        parts.map((part, place) => (place === chosen ? changed(part) : part)),
      );
    }),
    { numRuns: 500 },
  );
});
