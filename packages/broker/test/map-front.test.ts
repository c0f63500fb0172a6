import fc from "fast-check";
import { expect, test } from "vitest";
import { MapFront } from "../src/map-front.ts";

test("whatever is added, taken out or replaced, every entry that is left comes to the front", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("set" as const), key: fc.integer({ min: 0, max: 9 }) }),
    fc.record({ kind: fc.constant("delete" as const), key: fc.integer({ min: 0, max: 9 }) }),
    fc.record({ kind: fc.constant("take" as const), key: fc.constant(0) }),
    fc.record({ kind: fc.constant("clear" as const), key: fc.constant(0) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const map = new Map<number, number>();
      const front = new MapFront(map);
      for (const [i, { kind, key }] of steps.entries()) {
        if (kind === "set") map.set(key, i);
        else if (kind === "delete") map.delete(key);
        else if (kind === "clear") map.clear();
        else if (front.key !== undefined) map.delete(front.key);
        if (kind === "clear") expect(front.key).toBeUndefined();
        if (map.size > 0) expect(map.has(front.key as number)).toBe(true);
      }
      while (map.size > 0) {
        const first = front.key as number;
        expect(map.delete(first)).toBe(true);
      }
      expect(front.key).toBeUndefined();
    }),
  );
});
