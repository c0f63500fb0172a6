/** A leader's snapshot is decoded once, for the check and for the restore. */

import { expect, test } from "vitest";
import { ReceivedState } from "../src/replica/received-state.ts";
import { StateMachine } from "../src/state-machine/state-machine.ts";

const DATA = new StateMachine().snapshot();

/** Also what it was asked to decode. */
function receiving(): { readonly received: ReceivedState; readonly decoded: readonly Uint8Array[] } {
  const machine = new StateMachine();
  const decoded: Uint8Array[] = [];
  const decode = (data: Uint8Array) => {
    decoded.push(data);
    return machine.decode(data);
  };
  return { received: new ReceivedState({ decode }), decoded };
}

test("what the check has decoded is what the restore takes over, once", () => {
  const { received, decoded } = receiving();
  expect(received.isUsable(DATA)).toBe(true);
  const restored = new StateMachine();
  restored.takeOver(received.take(DATA));
  expect(restored.snapshot()).toEqual(DATA);
  expect(decoded).toEqual([DATA]);
  expect(() => received.take(DATA), "it belongs to a machine").toThrow("found it usable");
});

test("only what was found usable last is kept", () => {
  const { received } = receiving();
  const newer = DATA.slice();
  expect(received.isUsable(DATA)).toBe(true);
  expect(received.isUsable(newer)).toBe(true);
  expect(received.take(newer)).toBeDefined();
  expect(received.isUsable(DATA)).toBe(true);
  expect(received.isUsable(DATA.subarray(1))).toBe(false);
  expect(() => received.take(DATA)).toThrow("found it usable");
});

test("a fault of the program is not taken for one of the snapshot", () => {
  const broken = new ReceivedState({
    decode: () => {
      throw new TypeError("a bug");
    },
  });
  expect(() => broken.isUsable(DATA)).toThrow(TypeError);
});
