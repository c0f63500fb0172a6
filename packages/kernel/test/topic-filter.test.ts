import {
  filterCovers,
  filterMatches,
  isValidTopicFilter,
  isValidTopicName,
  parseSharedFilter,
} from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";

const level = fc.constantFrom("a", "b", "", "c");
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/") || "a");
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { maxLength: 4 }), fc.boolean())
  .map(([levels, rest]) => [...levels, ...(rest || levels.length === 0 ? ["#"] : [])].join("/") || "+");

// The examples of MQTT 5 section 4.7.1.
test.each([
  ["sport/tennis/player1/#", "sport/tennis/player1", true],
  ["sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true],
  ["sport/#", "sport", true],
  ["#", "a/b", true],
  ["sport/tennis/+", "sport/tennis/player1", true],
  ["sport/tennis/+", "sport/tennis/player1/ranking", false],
  ["sport/+", "sport", false],
  ["sport/+", "sport/", true],
  ["+/+", "/finance", true],
  ["/+", "/finance", true],
  ["+", "/finance", false],
])("[MQTT 5 §4.7.1] %s against %s matches: %s", (pattern, name, expected) => {
  expect(filterMatches(pattern, name)).toBe(expected);
});

test.each([
  ["#", "$SYS/uptime", false],
  ["+/monitor", "$SYS/monitor", false],
  ["$SYS/#", "$SYS/uptime", true],
  ["$SYS/monitor/+", "$SYS/monitor/clients", true],
])("[MQTT-4.7.2-1] %s against %s matches: %s", (pattern, name, expected) => {
  expect(filterMatches(pattern, name)).toBe(expected);
});

test("a filter matches exactly the topics that it covers level by level", () => {
  fc.assert(
    fc.property(filter, topic, (pattern, name) => {
      expect(filterMatches(pattern, name)).toBe(filterCovers(pattern, name));
    }),
    { numRuns: 2000 },
  );
});

test.each(["sport/tennis#", "sport/#/ranking", "sport+", "", "a\u0000b"])(
  "[MQTT-4.7.1-1] refuses filter %j",
  (bad) => {
    expect(isValidTopicFilter(bad)).toBe(false);
  },
);

test.each(["a/+", "#", "", "a\u0000", Array(129).fill("a").join("/")])(
  "[MQTT-3.3.2-2] refuses topic name %j",
  (bad) => {
    expect(isValidTopicName(bad)).toBe(false);
  },
);

test("[MQTT-4.8.2-1] [MQTT-4.8.2-2] a shared filter has a share name without wildcards and a filter", () => {
  expect(parseSharedFilter("$share/lights/home/+")).toEqual({ shareName: "lights", filter: "home/+" });
  expect(parseSharedFilter("home/+")).toBeUndefined();
  expect(parseSharedFilter("$sharex/a/b")).toBeUndefined();
  for (const bad of [
    "$share",
    "$share/",
    "$share//a",
    "$share/x",
    "$share/x/",
    "$share/+/a",
    "$share/x/a#",
  ]) {
    expect(parseSharedFilter(bad)).toBe("invalid");
  }
});

test("filterCovers(outer, inner) never claims what a topic disproves", () => {
  fc.assert(
    fc.property(filter, filter, topic, (outer, inner, name) => {
      if (filterCovers(outer, inner) && filterMatches(inner, name))
        expect(filterMatches(outer, name)).toBe(true);
    }),
    { numRuns: 5000 },
  );
});

test("filterCovers() sees the usual coverings", () => {
  for (const inner of ["a", "a/b", "a/+", "a/b/#", "a/#"]) expect(filterCovers("a/#", inner)).toBe(true);
  expect(filterCovers("a/+", "a/b")).toBe(true);
  expect(filterCovers("a/+", "a/#")).toBe(false);
  expect(filterCovers("#", "$SYS/x")).toBe(false);
});
