/** The hash that follows every change of the retained set. */

import * as fc from "fast-check";
import { expect, test } from "vitest";
import { itemHash, SetHash } from "../src/state-machine/set-hash.ts";
import { StateMachine } from "../src/state-machine/state-machine.ts";
import { retained } from "./support/world.ts";

test("SetHash: what was added and removed again leaves no trace, in whatever order", () => {
  const items = fc.uniqueArray(fc.uint8Array({ maxLength: 20 }).map((bytes) => itemHash(bytes)));
  fc.assert(
    fc.property(items, items, (kept, passing) => {
      const plain = new SetHash();
      for (const item of kept) plain.add(item);
      const busy = new SetHash();
      for (const item of [...passing, ...kept]) busy.add(item);
      for (const item of passing.toReversed()) busy.remove(item);
      expect(busy.value).toBe(plain.value);
      expect(Number.isSafeInteger(busy.value) && busy.value >= 0).toBe(true);
    }),
  );
});

test("itemHash: a single changed, missing or additional byte gives another hash", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 40 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (bytes, at, flip) => {
        const changed = Uint8Array.from(bytes);
        changed[at % bytes.length] = (bytes[at % bytes.length] as number) ^ flip;
        const all = [bytes, changed, bytes.subarray(1), Uint8Array.of(...bytes, 0)].map((each) =>
          itemHash(each),
        );
        expect(new Set(all.slice(0, 2)).size).toBe(2);
        expect(all[0]).not.toBe(all[3]);
      },
    ),
  );
});

test("StateMachine.stateHash(): equal after a snapshot, another one after any difference", () => {
  const machine = new StateMachine();
  machine.retained.set({ message: retained("a", "1"), stamp: 0, index: 0 }, 10, itemHash(Uint8Array.of(1)));
  const copy = new StateMachine();
  copy.restore(machine.snapshot());
  const again = new StateMachine();
  again.restore(copy.snapshot());
  expect(again.stateHash()).toBe(copy.stateHash());
  again.retained.delete("a");
  expect(again.stateHash()).not.toBe(copy.stateHash());
  expect(again.stateHash()).toBe(new StateMachine().stateHash());
});
