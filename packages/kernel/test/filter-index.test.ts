import { FilterIndex, filterMatches } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";

const level = fc.constantFrom("a", "b", "$x", "");
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/") || "a");
const filter = fc
  .array(fc.oneof(level, fc.constant("+")), { minLength: 1, maxLength: 4 })
  .chain((levels) => fc.boolean().map((rest) => (rest ? `${levels.join("/")}/#` : levels.join("/") || "#")));

test("FilterIndex agrees with matching every filter by itself, through any adds and removes", () => {
  const change = fc.record({ add: fc.boolean(), filter, entry: fc.integer({ min: 0, max: 3 }) });
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 40 }),
      fc.array(topic, { minLength: 1, maxLength: 6 }),
      (changes, topics) => {
        const index = new FilterIndex<number, number[]>((entries) => [...entries].sort());
        const model: { filter: string; entry: number }[] = [];
        for (const each of changes) {
          if (each.add) {
            index.add(each.filter, each.entry);
            model.push(each);
          } else {
            const at = model.findIndex((one) => one.filter === each.filter && one.entry === each.entry);
            expect(index.remove(each.filter, each.entry)).toBe(at !== -1);
            if (at !== -1) model.splice(at, 1);
          }
          for (const name of topics) {
            const expected = model.filter((one) => filterMatches(one.filter, name)).map((one) => one.entry);
            expect(index.match(name)).toEqual(expected.sort());
          }
        }
      },
    ),
  );
});

test("FilterIndex compiles a topic once and answers from the cache until something changes", () => {
  let compiled = 0;
  const index = new FilterIndex<string, readonly string[]>((entries) => {
    compiled++;
    return [...entries];
  });
  index.add("a/+", "one");
  expect(index.match("a/b")).toBe(index.match("a/b"));
  expect(compiled).toBe(1);
  index.add("a/b", "two");
  expect(index.match("a/b")).toEqual(["two", "one"]);
  index.invalidate();
  index.match("a/b");
  expect(compiled).toBe(3);
});

test("FilterIndex stays bounded under a flood of topics", () => {
  const index = new FilterIndex<string, readonly string[]>((entries) => [...entries]);
  index.add("#", "all");
  for (let i = 0; i < 25_000; i++) expect(index.match(`flood/${i}`)).toEqual(["all"]);
});

test("FilterIndex forgets answers sooner where they are long: many topics that many listen to are not kept", () => {
  const isKeptAfter = (entries: number, topics: number): boolean => {
    const index = new FilterIndex<string, readonly string[]>((found) => [...found]);
    for (let i = 0; i < entries; i++) index.add("#", `${i}`);
    const first = index.match("first");
    for (let i = 0; i < topics; i++) index.match(`t/${i}`);
    return index.match("first") === first;
  };
  expect([isKeptAfter(1, 250), isKeptAfter(1_000, 150), isKeptAfter(1_000, 250)]).toEqual([
    true,
    true,
    false,
  ]);
});
