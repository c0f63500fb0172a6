import type { MonotonicMs } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { type AddressEffect, type AddressEvent, AddressHolding } from "../../src/address/holding.ts";

function kinds(holding: AddressHolding, event: AddressEvent, now: number): string[] {
  return holding.step(event, now as MonotonicMs).map((effect) => effect.kind);
}

const leader = (quorumContactAt: number | undefined): AddressEvent => ({
  kind: "warrant",
  isGiven: true,
  confirmedAt: quorumContactAt,
});
const follower: AddressEvent = { kind: "warrant", isGiven: false, confirmedAt: undefined };
const wake: AddressEvent = { kind: "wake" };

test("a leader takes the address at its first fresh quorum contact and announces it at once", () => {
  const holding = new AddressHolding();
  expect(kinds(holding, leader(undefined), 1000)).toEqual([]);
  expect(holding.isHeld).toBe(false);
  expect(kinds(holding, leader(1000), 1010)).toEqual(["renew", "announce"]);
  expect(holding.isHeld).toBe(true);
});

test("a contact older than 300 ms neither takes nor renews, counted from when the heartbeat was sent", () => {
  const holding = new AddressHolding();
  expect(kinds(holding, leader(1000), 1301)).toEqual([]);
  expect(kinds(holding, leader(1000), 1300)).toEqual(["renew", "announce"]);
  expect(kinds(holding, leader(1350), 1800)).not.toContain("renew");
});

test("a healthy leader renews well within the kernel lifetime of 2 s, and at most every 400 ms", () => {
  const holding = new AddressHolding();
  const renewals: number[] = [];
  for (let now = 0; now <= 20_000; now += 250) {
    if (kinds(holding, leader(now - 5), now).includes("renew")) renewals.push(now);
  }
  const gaps = renewals.slice(1).map((at, i) => at - (renewals[i] as number));
  expect(Math.max(...gaps)).toBeLessThanOrEqual(1000);
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(400);
});

test("at 1.5 s without a quorum clients are reset first, then the address is deleted", () => {
  const holding = new AddressHolding();
  kinds(holding, leader(1000), 1000);
  expect(kinds(holding, wake, 2499)).not.toContain("delete");
  expect(holding.isHeld).toBe(true);
  expect(holding.wakeAt).toBeLessThanOrEqual(2500);
  expect(kinds(holding, wake, 2500)).toEqual(["resetClients", "delete"]);
  expect(holding.isHeld).toBe(false);
  expect(holding.wakeAt).toBeUndefined();
});

test.each([
  [true, [8000, 8200, 8400, 9000, 9200, 9400, 10_000, 10_200, 10_400, 11_000, 12_000, 15_000]],
  [false, [9000, 9200, 9400, 10_000, 10_200, 10_400, 11_000, 12_000, 15_000]],
])(
  "when nodes come into reach the address is announced anew, once a second at most, after the last as well (elected: %s)",
  (isElected, expected) => {
    const holding = new AddressHolding();
    const announcedAt: number[] = [];
    for (let now = 0; now <= 20_000; now += 100) {
      const isNodeNew = now >= 8000 && now <= 9500;
      const effects = [
        ...kinds(holding, leader(now - 5), now),
        ...(isNodeNew ? kinds(holding, { kind: "reunited", isElected }, now) : []),
      ];
      if (effects.includes("announce") && now > 5000) announcedAt.push(now);
    }
    expect(announcedAt).toEqual(expected);
  },
);

test("losing the leadership releases at once, reset before delete; a follower never acts", () => {
  const holding = new AddressHolding();
  kinds(holding, leader(1000), 1000);
  expect(kinds(holding, follower, 1001)).toEqual(["resetClients", "delete"]);
  expect(kinds(holding, follower, 1002)).toEqual([]);
});

test("an old contact of an earlier leadership does not count for the next one", () => {
  const holding = new AddressHolding();
  kinds(holding, leader(1000), 1000);
  kinds(holding, follower, 1100);
  expect(kinds(holding, leader(undefined), 1150)).toEqual([]);
  expect(kinds(holding, leader(1160), 1170)).toEqual(["renew", "announce"]);
});

test("gratuitous ARP goes out at 0, 0.2, 0.4, 1, 2 and 5 s, then every 30 s", () => {
  const holding = new AddressHolding();
  const announced: number[] = [];
  for (let now = 0; now <= 66_000; now += 50) {
    const event = now % 250 === 0 ? leader(now) : wake;
    if (kinds(holding, event, now).includes("announce")) announced.push(now);
  }
  expect(announced).toEqual([0, 200, 400, 1000, 2000, 5000, 35_000, 65_000]);
});

test("a process that was stopped for a while announces once, not once for each it missed", () => {
  const holding = new AddressHolding();
  kinds(holding, leader(0), 0);
  expect(kinds(holding, leader(1400), 1400).filter((kind) => kind === "announce")).toHaveLength(1);
});

test("after a restart of ip the address is set again at once, if the contact is fresh", () => {
  const holding = new AddressHolding();
  expect(kinds(holding, { kind: "restarted" }, 900)).toEqual([]);
  kinds(holding, leader(1000), 1000);
  expect(kinds(holding, { kind: "restarted" }, 1100)).toEqual(["renew"]);
});

test("a process that was stopped for longer than the kernel keeps the address resets clients before it takes it anew", () => {
  const holding = new AddressHolding();
  kinds(holding, leader(1000), 1000);
  // The sole voter is its own quorum: its contact is always fresh.
  expect(kinds(holding, leader(3000), 3000)).toEqual(["resetClients", "delete"]);
  expect(kinds(holding, leader(3250), 3250)).toEqual(["renew", "announce"]);
});

test("a machine that slept drops the address at once, and takes it only on what was confirmed afterwards", () => {
  const holding = new AddressHolding();
  kinds(holding, leader(1000), 1000);
  expect(kinds(holding, { kind: "suspended" }, 1100)).toEqual(["resetClients", "delete"]);
  expect(kinds(holding, leader(1090), 1120)).toEqual([]);
  expect(kinds(holding, leader(1100), 1130)).toEqual([]);
  expect(kinds(holding, leader(1101), 1140)).toEqual(["renew", "announce"]);
});

test("whatever happens: no renewal on a stale contact, reset always directly before delete, held only in between", () => {
  const events = fc.array(
    fc.record({
      passMs: fc.integer({ min: 0, max: 900 }),
      what: fc.constantFrom("contact", "stale", "none", "follower", "wake", "restarted"),
      ageMs: fc.integer({ min: 0, max: 600 }),
    }),
    { maxLength: 80 },
  );
  fc.assert(
    fc.property(events, (steps) => {
      const holding = new AddressHolding();
      let now = 10_000;
      let newest = Number.NEGATIVE_INFINITY;
      let isSet = false;
      for (const { passMs, what, ageMs } of steps) {
        now += passMs;
        let event: AddressEvent = wake;
        if (what === "contact" || what === "stale") {
          const at = now - ageMs - (what === "stale" ? 301 : 0);
          event = leader(at);
          newest = Math.max(newest, at);
        } else if (what === "none") event = leader(undefined);
        else if (what === "follower") event = follower;
        else if (what === "restarted") event = { kind: "restarted" };
        const effects: readonly AddressEffect[] = holding.step(event, now as MonotonicMs);
        for (const [at, effect] of effects.entries()) {
          if (effect.kind === "renew") {
            expect(now - newest).toBeLessThanOrEqual(300);
            isSet = true;
          }
          if (effect.kind === "announce") expect(isSet).toBe(true);
          if (effect.kind === "delete") {
            expect(effects[at - 1]?.kind).toBe("resetClients");
            isSet = false;
          }
        }
        expect(holding.isHeld).toBe(isSet);
        if (what === "follower") {
          expect(holding.isHeld).toBe(false);
          newest = Number.NEGATIVE_INFINITY;
        }
        if (holding.isHeld) expect(now - newest).toBeLessThan(1500);
      }
    }),
  );
});
