import type { ClusterId } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { batchFrom, decodeFrame, encodeFrame } from "../../src/frames.ts";

const cluster = "c" as ClusterId;

test("however much waits without a quorum, it is told in frames that the others can read, all of it and in order", () => {
  const sizes = fc.array(fc.tuple(fc.constantFrom(1, 50, 100_000), fc.integer({ min: 1, max: 1500 })), {
    maxLength: 4,
  });
  fc.assert(
    fc.property(sizes, (runs) => {
      const commands = runs.flatMap(([size, count]) => {
        const bytes = new Uint8Array(size);
        return new Array<{ bytes: Uint8Array }>(size > 1000 ? count % 10 : count).fill({ bytes });
      });
      const told: Uint8Array[] = [];
      for (let at = 0; at < commands.length; ) {
        const batch = batchFrom(commands, at);
        at += batch.length;
        const frame = decodeFrame(encodeFrame({ kind: "early", cluster, commands: batch }));
        if (frame?.kind !== "early") throw new Error("another frame");
        told.push(...frame.commands);
      }
      expect(told.map(({ length }) => length)).toEqual(commands.map(({ bytes: { length } }) => length));
    }),
    { numRuns: 50 },
  );
});
