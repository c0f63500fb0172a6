/** The table of conformance is whole and fresh. */

import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { insideTests, outsideTests } from "../test/conformance/statements/shown-by.ts";
import { readStatements, VERSIONS } from "../test/conformance/statements/statements.ts";
import { conformanceTable } from "../test/conformance/statements/table.ts";

test("both specifications are there to the last statement", () => {
  const counts = VERSIONS.map((version) => new Set(readStatements(version).map(({ id }) => id)).size);
  expect(counts).toEqual([141, 251]);
});

test.each(VERSIONS)("every statement of %s has a test or a reason, and not both", (version) => {
  const tests = outsideTests();
  const wrong = readStatements(version).filter(({ id, unshown }) => {
    const isShown = tests.some(({ ids }) => ids[version].includes(id));
    return isShown === (unshown !== undefined);
  });
  expect(wrong.map(({ id, text }) => `MQTT-${id} ${text}`)).toEqual([]);
});

test("what the mesh run takes runs on the mesh: a test that makes a lone broker lies deeper", () => {
  const names = readdirSync("test/conformance").filter((name) => name.endsWith(".test.ts"));
  const wrong = names.filter((name) =>
    /HeldWorld|LoneNode/.test(readFileSync(`test/conformance/${name}`, "utf8")),
  );
  expect(wrong).toEqual([]);
});

test("no test names a statement that does not exist", () => {
  const wrong = [...outsideTests(), ...insideTests()].flatMap(({ file, name, ids }) =>
    VERSIONS.flatMap((version) => {
      const known = new Set(readStatements(version).map(({ id }) => id));
      return ids[version]
        .filter((id) => !known.has(id))
        .map((id) => `${file}: ${name}: ${version} MQTT-${id}`);
    }),
  );
  expect(wrong).toEqual([]);
});

test("docs/reference/mqtt-conformance.md is fresh: npm run conformance:table", () => {
  expect(readFileSync("docs/reference/mqtt-conformance.md", "utf8")).toBe(conformanceTable());
});
