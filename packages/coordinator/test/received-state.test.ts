/** A leader's snapshot is decoded once, for the check and for the restore, and in pieces between which others have their turn. */

import type { Incarnation, NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { atOnce } from "../src/pieces.ts";
import { type Checked, ReceivedState } from "../src/replica/received-state.ts";
import { encodeCommand } from "../src/state-machine/commands.ts";
import { StateMachine } from "../src/state-machine/state-machine.ts";

/** A state of `count` retained messages. */
function machineOf(count: number): StateMachine {
  const machine = new StateMachine();
  for (let seq = 1; seq <= count; seq++) machine.apply(commandOf(seq), seq);
  return machine;
}

function commandOf(seq: number): Uint8Array {
  const payload = new Uint8Array(100).fill(seq);
  const message = { topic: `t/${seq}`, payload, qos: 1, retain: true, properties: undefined } as const;
  const envelope = { node: "000000000000000a" as NodeId, incarnation: 1 as Incarnation, seq };
  return encodeCommand({ envelope, stamp: seq, operation: { kind: "retainedSet", message } });
}

const DATA = machineOf(20).snapshot();

class Receiving {
  readonly machine = new StateMachine();
  readonly decoded: Uint8Array[] = [];
  readonly verdicts: (boolean | string | undefined)[] = [];
  /** What waits for its turn. */
  readonly turns: (() => void)[] = [];
  readonly received: ReceivedState;

  constructor(pieceBytes?: number) {
    this.received = new ReceivedState({
      decode: (data) => {
        this.decoded.push(data);
        return this.machine.decode(data, pieceBytes === undefined ? {} : { pieceBytes });
      },
      nextTurn: (callback) => this.turns.push(callback),
    });
  }

  check(data: Uint8Array): void {
    const done: Checked = (isUsable, error) => this.verdicts.push(error?.code ?? isUsable);
    this.received.check(data, done);
  }

  /** Returns how many turns it took. */
  runTurns(): number {
    let count = 0;
    for (let turn = this.turns.shift(); turn !== undefined; turn = this.turns.shift()) {
      count++;
      turn();
    }
    return count;
  }
}

test("what the check has decoded is what the restore takes over, once", () => {
  const { received, decoded, verdicts, machine } = checked(DATA);
  expect(verdicts).toEqual([true]);
  machine.takeOver(received.take(DATA));
  expect(machine.snapshot()).toEqual(DATA);
  expect(decoded).toEqual([DATA]);
  expect(() => received.take(DATA), "it belongs to a machine").toThrow("found it usable");
});

test("only what was found usable last is kept, and nothing once nobody has taken it", () => {
  const newer = DATA.slice();
  const receiving = checked(DATA, newer);
  const { received, verdicts } = receiving;
  expect(() => received.take(DATA)).toThrow("found it usable");
  receiving.check(newer);
  expect(received.take(newer)).toBeDefined();
  receiving.check(DATA);
  receiving.check(DATA.subarray(1));
  expect(verdicts).toEqual([true, true, true, true, false]);
  expect(() => received.take(DATA)).toThrow("found it usable");
  receiving.check(DATA);
  received.letGo();
  expect(() => received.take(DATA)).toThrow("found it usable");
});

test("a large snapshot is decoded a piece in each turn, and the old state can be read and applied to until it is taken over", () => {
  const receiving = new Receiving(500);
  const { received, verdicts, machine } = receiving;
  machine.takeOver(atOnce(machine.decode(machineOf(3).snapshot())));
  receiving.check(DATA);
  expect(verdicts, "not yet").toEqual([]);
  const [turn] = receiving.turns.splice(0);
  machine.apply(commandOf(4), 4);
  turn?.();
  expect(machine.retained.count).toBe(4);
  // 20 messages of 100 bytes, read and then filed.
  expect(receiving.runTurns()).toBeGreaterThan(6);
  expect(verdicts).toEqual([true]);
  expect(machine.retained.count, "it is decoded, not taken over").toBe(4);
  machine.takeOver(received.take(DATA));
  expect(machine.snapshot()).toEqual(DATA);
});

test("a newer snapshot takes the place of one that is half decoded, of which nothing is heard any more", () => {
  const receiving = new Receiving(500);
  const newer = machineOf(30).snapshot();
  receiving.check(DATA);
  receiving.check(newer);
  receiving.runTurns();
  expect(receiving.verdicts).toEqual([true]);
  receiving.machine.takeOver(receiving.received.take(newer));
  expect(receiving.machine.retained.count).toBe(30);
});

test("who is stopped while it decodes hears nothing more", () => {
  const receiving = new Receiving(500);
  receiving.check(DATA);
  receiving.received.giveUp();
  expect(receiving.runTurns()).toBe(1);
  expect(receiving.verdicts).toEqual([]);
});

test("a snapshot that is wrong at its end is found out, after all its pieces", () => {
  const receiving = new Receiving(500);
  receiving.check(DATA.subarray(0, -1));
  expect(receiving.runTurns()).toBeGreaterThan(3);
  expect(receiving.verdicts).toEqual([false]);
});

test("a snapshot of a program of the future is not taken for a wrong one", () => {
  const future = DATA.slice();
  future[0] = 99;
  expect(checked(future).verdicts).toEqual(["ERR_SKEIN_VERSION"]);
});

test("a fault of the program is not taken for one of the snapshot", () => {
  const broken = new ReceivedState({
    decode: () => {
      throw new TypeError("a bug");
    },
    nextTurn: () => {},
  });
  expect(() => broken.check(DATA, () => {})).toThrow(TypeError);
});

/** In one piece each. */
function checked(...snapshots: readonly Uint8Array[]): Receiving {
  const receiving = new Receiving();
  for (const data of snapshots) receiving.check(data);
  expect(receiving.turns).toEqual([]);
  return receiving;
}
