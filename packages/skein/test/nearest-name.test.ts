import fc from "fast-check";
import { expect, test } from "vitest";
import { nearestName } from "../src/config/nearest-name.ts";
import { SETTING_NAMES } from "../src/config/settings.ts";

test.each([
  ["lisen", "listen"],
  ["lsiten", "listen"],
  ["mesh_key", "mesh-key"],
  ["Peer", "peer"],
  ["data-directory", undefined],
  ["retries", undefined],
])("for %s it suggests %s", (name, expected) => {
  expect(nearestName(name, SETTING_NAMES)).toBe(expected);
});

test("one wrong, missing, extra or swapped character of a long name is always forgiven", () => {
  const long = SETTING_NAMES.filter((name) => name.length >= 6);
  fc.assert(
    fc.property(
      fc.constantFrom(...long),
      fc.nat(),
      fc.constantFrom("replace", "remove", "insert", "swap"),
      (name, position, kind) => {
        const at = position % (name.length - 1);
        const [a = "", b = ""] = [name[at], name[at + 1]];
        const middle = { replace: `~${b}`, remove: b, insert: `${a}~${b}`, swap: b + a }[kind];
        expect(nearestName(name.slice(0, at) + middle + name.slice(at + 2), SETTING_NAMES)).toBe(name);
      },
    ),
  );
});
