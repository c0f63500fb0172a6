import type { Incarnation, NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { copySentence, homeOf, nameOf } from "../src/own-identity.ts";

const identity = {
  node: "c0de000000000001" as NodeId,
  incarnation: 1 as Incarnation,
  cluster: undefined,
  home: "aa",
  machine: "aa",
  hasMoved: false,
  copyOf: undefined,
};

test("R29: a node that was a copy says so once, and carries its new id behind the name it has in common", () => {
  const copy = { ...identity, copyOf: "pi3" };
  expect(nameOf("pi3", copy)).toBe("pi3-c0de");
  expect(copySentence("pi3-c0de", copy)).toBe(
    "This node carries the same identity as pi3 (cloned SD card?). New identity created: pi3-c0de.",
  );
  expect(copySentence("pi3-c0de", { ...copy, incarnation: 2 as Incarnation })).toBeUndefined();
  // Its operator has named it since.
  expect(nameOf("pi4", copy)).toBe("pi4");
  expect(nameOf("pi3", identity)).toBe("pi3");
  expect(copySentence("pi3", identity)).toBeUndefined();
});

test("a node is at home where its identity was made; where the system tells nothing, that is not known", () => {
  expect(homeOf(identity)).toBe("here");
  expect(homeOf({ ...identity, machine: "bb" })).toBe("elsewhere");
  expect(homeOf({ ...identity, machine: "" })).toBe("unknown");
  expect(homeOf({ ...identity, home: "" })).toBe("unknown");
});
