import type { ApplicationMessage } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Inflight, type InflightEntry } from "../src/sessions/inflight.ts";

const MESSAGE: ApplicationMessage = {
  topic: "t",
  payload: new Uint8Array(0),
  qos: 1,
  retain: false,
  properties: undefined,
};

test("[MQTT-2.2.1-4] identifiers are 1 to 65535 and unique among those under way, whatever is released when", () => {
  const property = fc.property(
    fc.integer({ min: 1, max: 70 }),
    fc.array(fc.tuple(fc.boolean(), fc.nat()), { maxLength: 300 }),
    (max, steps) => {
      const inflight = new Inflight(max);
      const model: { readonly packetId: number; readonly entry: InflightEntry }[] = [];
      for (const [isTake, pick] of steps) {
        if (isTake && inflight.hasRoom(0xffff)) {
          const entry = inflight.take(MESSAGE, 1, false, undefined);
          expect(entry.packetId).toBeGreaterThan(0);
          expect(model.map(({ packetId }) => packetId)).not.toContain(entry.packetId);
          model.push({ packetId: entry.packetId, entry });
        } else if (model.length > 0) {
          const [gone] = model.splice(pick % model.length, 1);
          if (gone === undefined) continue;
          inflight.release(gone.entry);
          expect(inflight.find(gone.packetId)).toBeUndefined();
        }
        expect(inflight.count).toBe(model.length);
        for (const { packetId, entry } of model) expect(inflight.find(packetId)).toBe(entry);
        expect(inflight.hasRoom(0xffff)).toBe(model.length < max);
      }
      expect(inflight.unacknowledged().map(({ packetId }) => packetId)).toEqual(
        model.map(({ packetId }) => packetId),
      );
    },
  );
  fc.assert(property);
});

test("identifiers start again at 1 after 65535 and pass over one that is still under way", () => {
  const inflight = new Inflight(4);
  const held = inflight.take(MESSAGE, 1, false, undefined);
  expect(held.packetId).toBe(1);
  const seen = new Set([1]);
  for (let i = 0; i < 70_000; i++) {
    const entry = inflight.take(MESSAGE, 1, false, undefined);
    expect(entry.packetId).not.toBe(1);
    expect(entry.packetId).toBeLessThanOrEqual(0xffff);
    seen.add(entry.packetId);
    inflight.release(entry);
  }
  expect(seen.size).toBeGreaterThan(60_000);
});

test("[MQTT-3.3.4-9] the Receive Maximum counts what is on the wire of this connection only", () => {
  const inflight = new Inflight(10);
  for (let i = 0; i < 3; i++) inflight.take(MESSAGE, 1, false, undefined);
  expect(inflight.hasRoom(3)).toBe(false);
  const [first] = inflight.unacknowledged();
  expect(inflight.onWire).toBe(0);
  expect(inflight.hasRoom(3)).toBe(true);
  if (first !== undefined) inflight.resent(first);
  expect(inflight.onWire).toBe(1);
  if (first !== undefined) inflight.release(first);
  expect([inflight.onWire, inflight.count]).toEqual([0, 2]);
});

test("an identifier that was never sent is not found", () => {
  const inflight = new Inflight(4);
  expect(inflight.find(1)).toBeUndefined();
  inflight.take(MESSAGE, 1, false, undefined);
  expect(inflight.find(0)).toBeUndefined();
  expect(inflight.find(17)).toBeUndefined();
});
