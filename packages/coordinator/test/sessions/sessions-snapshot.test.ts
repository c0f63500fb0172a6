import { SkeinError } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { decodeCommand, encodeCommand } from "../../src/state-machine/commands.ts";
import { StateMachine } from "../../src/state-machine/state-machine.ts";
import { steps, worldOf } from "./session-steps.ts";
import { A, SessionWorld, will, wish } from "./session-world.ts";

test("a replica that is restored in the middle of any history ends in the same state, byte for byte", () => {
  const histories = fc.array(steps, { minLength: 1, maxLength: 80 });
  fc.assert(
    fc.property(histories, fc.nat(), (history, cut) => {
      const world = worldOf(history);
      const at = cut % (world.log.length + 1);
      const before = new StateMachine();
      for (const [index, bytes] of world.log.slice(0, at).entries()) before.apply(bytes, index + 1);
      const restored = new StateMachine();
      restored.restore(before.snapshot());
      expect(restored.snapshot()).toEqual(before.snapshot());
      expect(restored.sessions.owed.bytes).toBe(before.sessions.owed.bytes);
      for (const [index, bytes] of world.log.slice(at).entries()) restored.apply(bytes, at + index + 1);
      expect(restored.snapshot()).toEqual(world.machine.snapshot());
      expect(restored.stateHash()).toBe(world.machine.stateHash());
    }),
    { numRuns: 500 },
  );
});

test("a replica that reads a snapshot piece by piece, and applies entries to the state that it has meanwhile, ends in the snapshot's", () => {
  const histories = fc.array(steps, { minLength: 1, maxLength: 80 });
  fc.assert(
    fc.property(histories, fc.integer({ min: 1, max: 100 }), (history, pieceBytes) => {
      const { machine, log } = worldOf(history);
      const snapshot = machine.snapshot();
      const behind = new StateMachine();
      const pieces = behind.decode(snapshot, { pieceBytes });
      let applied = 0;
      let piece = pieces.next();
      for (; piece.done !== true; piece = pieces.next()) {
        const entry = log[applied];
        if (entry !== undefined) behind.apply(entry, ++applied);
      }
      behind.takeOver(piece.value);
      expect(behind.snapshot()).toEqual(snapshot);
      expect(behind.stateHash()).toBe(machine.stateHash());
      expect(behind.sessions.owed.bytes).toBe(machine.sessions.owed.bytes);
    }),
    { numRuns: 300 },
  );
});

test("what a session keeps holds on to no log entry and no snapshot: wills and messages own their bytes", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c", { will: will("t", "will") });
  world.subscribe(A, "c", claim, wish("t"));
  world.publish(A, "t", "message".repeat(100));
  // What comes from the network and the disk are Node's buffers, and slices of them are views.
  const [applied, restored] = [new StateMachine(), new StateMachine()];
  const inputs = world.log.map((bytes) => Buffer.from(bytes));
  for (const [at, bytes] of inputs.entries()) applied.apply(bytes, at + 1);
  const snapshot = Buffer.from(applied.snapshot());
  restored.restore(snapshot);
  const borrowed = [...inputs, snapshot].map(({ buffer }) => buffer);
  for (const { sessions } of [applied, restored]) {
    const session = sessions.get("c");
    expect(session?.will?.message.payload.buffer.byteLength).toBe("will".length);
    expect(borrowed).not.toContain(session?.queue.get(0)?.message.payload.buffer);
  }
});

test("commands about sessions come back from their bytes as they were", () => {
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 30 }), (history) => {
      const world = worldOf(history);
      for (const bytes of world.log.filter(([format]) => format === 2)) {
        expect(encodeCommand(decodeCommand(bytes))).toEqual(bytes);
      }
    }),
  );
});

test("bytes that are cut off or changed are refused or mean something, and never end a process", () => {
  const world = new SessionWorld();
  const claim = world.open(A, "c", { will: will("t", "w") });
  world.subscribe(A, "c", claim, wish("t/+", { identifier: 5 }));
  world.publish(A, "t/u", "x", 2);
  const snapshot = world.machine.snapshot();
  fc.assert(
    fc.property(fc.nat(snapshot.length - 1), fc.nat(255), (at, value) => {
      for (const bytes of [
        snapshot.slice(0, at),
        snapshot.map((byte, place) => (place === at ? value : byte)),
      ]) {
        try {
          new StateMachine().restore(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(SkeinError);
        }
      }
    }),
    { numRuns: 500 },
  );
});
