/** How often a node asks who is there: RFC 6762, sections 5.2 and 7.3. */

import { type DnsQuestion, type MulticastDns, seededPrng } from "@skein/kernel";
import { expect, test } from "vitest";
import { Browser } from "../src/discovery/browser.ts";
import { VirtualClock } from "./support/virtual-clock.ts";

/** `count` nodes in one network that were switched on at once; whatever one asks all hear, it too. */
function network(count: number) {
  const clock = new VirtualClock();
  const asked: { readonly node: number; readonly at: number }[] = [];
  const browsers: Browser[] = [];
  const query = (node: number, questions: readonly DnsQuestion[]): void => {
    asked.push({ node, at: clock.monotonicMs() });
    for (const browser of browsers) browser.queried(questions);
  };
  for (let node = 0; node < count; node++) {
    const mdns: MulticastDns = {
      start: () => undefined,
      query: (questions) => query(node, questions),
      respond: () => undefined,
      localAddresses: () => [],
      hostName: () => `pi${node}`,
      stop: () => undefined,
    };
    browsers.push(new Browser(mdns, "home", () => undefined, clock, seededPrng(node + 1)));
  }
  return { clock, asked, browsers };
}

test("a node that is alone asks at once, and then in intervals that double up to a quarter of an hour", () => {
  const { clock, asked, browsers } = network(1);
  browsers[0]?.query();
  clock.run(3 * 3600_000);
  const gaps = asked.slice(1).map(({ at }, i) => at - (asked[i]?.at ?? 0));
  gaps.forEach((gap, i) => {
    const intervalMs = Math.min(900_000, 1000 * 2 ** i);
    expect(gap).toBeGreaterThanOrEqual(intervalMs);
    expect(gap).toBeLessThanOrEqual(1.25 * intervalMs);
  });
  expect(gaps.length).toBeGreaterThan(18);
});

test("RFC 6762 7.3: of twenty that were switched on together few ask in each interval, and all hear every answer", () => {
  const { clock, asked, browsers } = network(20);
  for (const browser of browsers) browser.query();
  clock.run(60_000);
  asked.length = 0;
  clock.run(3600_000);
  // Alone each would ask seven or eight times in this hour.
  expect(asked.length).toBeLessThan(20);
  expect(asked.length).toBeGreaterThan(4);
});

test("a node that has lost all links asks at once, whatever others have just asked", () => {
  const { clock, asked, browsers } = network(2);
  for (const browser of browsers) browser.query();
  clock.run(600_000);
  browsers[1]?.query();
  expect(asked.at(-1)).toEqual({ node: 1, at: clock.monotonicMs() });
  const before = asked.length;
  clock.run(1250);
  expect(asked.slice(before).map(({ node }) => node)).toContain(1);
});
