import { type ApplicationMessage, filterMatches } from "@skein/kernel";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { RETAINED_BYTES_MAX, RetainedState } from "../src/state-machine/retained-state.ts";
import { retained } from "./support/world.ts";

const levels = fc.constantFrom("a", "b", "", "$x", "é");
const topics = fc
  .array(levels, { minLength: 1, maxLength: 4 })
  .map((names) => names.join("/"))
  .filter((topic) => topic !== "");
const filters = fc
  .tuple(fc.array(fc.oneof(levels, fc.constant("+")), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([names, isOpen]) => (isOpen ? [...names, "#"] : names).join("/"))
  .filter((filter) => filter !== "");

function matched(state: RetainedState, filter: string): string[] {
  const found: string[] = [];
  state.match(filter, ({ message }) => found.push(message.topic));
  return found.sort();
}

const item = (message: ApplicationMessage) => ({ message, stamp: 0, index: 0 });

test("[MQTT-4.7.2-1] match() finds what a scan of all topics finds, after any sets and deletes", () => {
  const steps = fc.array(fc.tuple(topics, fc.boolean()), { maxLength: 40 });
  fc.assert(
    fc.property(steps, fc.array(filters, { minLength: 1, maxLength: 8 }), (changes, queries) => {
      const state = new RetainedState();
      const model = new Set<string>();
      for (const [topic, isSet] of changes) {
        if (isSet) {
          state.set(item(retained(topic, "x")), 10, 7);
          model.add(topic);
        } else {
          state.delete(topic);
          model.delete(topic);
        }
      }
      expect(state.count).toBe(model.size);
      expect(state.bytes).toBe(model.size * 10);
      for (const filter of [...queries, "#", "+", "+/#", "$x/#"]) {
        expect(matched(state, filter)).toEqual(
          [...model].filter((topic) => filterMatches(filter, topic)).sort(),
        );
      }
    }),
    { numRuns: 300 },
  );
});

test("digest() does not depend on the order of arrival and changes with every part of a message", () => {
  const digestOf = (messages: readonly ApplicationMessage[]): string => {
    const state = new RetainedState();
    for (const message of messages) state.set(item(message), 1, 7);
    return state.digest();
  };
  const [x, y] = [retained("x", "1"), retained("y", "2")];
  const digest = digestOf([x, y]);
  expect(digest).toMatch(/^[0-9a-f]{32}$/);
  expect(digestOf([y, x])).toBe(digest);
  const others = [[x], [y], [], [x, retained("y", "3")], [x, retained("y", "2", 0)], [x, retained("z", "2")]];
  const digests = [digest, ...others.map(digestOf)];
  expect(new Set(digests).size).toBe(digests.length);
});

test("a full store refuses what would make it bigger, and takes what makes it smaller", () => {
  const state = new RetainedState();
  expect(state.set(item(retained("big", "x")), RETAINED_BYTES_MAX, 7)).toBe(true);
  expect(state.set(item(retained("small", "x")), 1, 7)).toBe(false);
  expect(state.count).toBe(1);
  expect(state.set(item(retained("big", "y")), 100, 7)).toBe(true);
  expect(state.set(item(retained("small", "x")), 1, 7)).toBe(true);
  state.takeOver(new RetainedState());
  expect([state.count, state.bytes, matched(state, "#")]).toEqual([0, 0, []]);
});
