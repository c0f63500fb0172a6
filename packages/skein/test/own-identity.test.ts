import type { Incarnation, NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { copySentence, goOnAfterCopy, homeOf, nameOf } from "../src/own-identity.ts";

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

test("R29: after a copy was in use the identity stays where it was made, and elsewhere a new node is made", () => {
  const after = (machine: string, address = "10.0.0.4:7883"): unknown[] => {
    const calls: unknown[] = [];
    const ending = {
      outrun: (starts: Incarnation, reason: string) => calls.push(starts, reason),
      startAnew: (reason: string, copyOf?: string) => calls.push(copyOf, reason),
    };
    const node = { identity: { ...identity, machine }, name: "pi1", coordinator: { ending } };
    goOnAfterCopy(node, "pi1", { incarnation: 7 as Incarnation, address });
    return calls;
  };
  const stays =
    "A copy of this node's data was in use while this node was off (cloned SD card, restored backup?), last at 10.0.0.4:7883. This node stays pi1 and catches up before it votes; the copy becomes a node of its own when it is started again.";
  expect(after("aa")).toEqual([7, stays]);
  expect(after("")).toEqual([7, stays]);
  expect(after("aa", "")).toEqual([7, stays.replace(", last at 10.0.0.4:7883", "")]);
  expect(after("bb")).toEqual([
    "pi1",
    "pi1, whose identity this node has, was in use since (cloned SD card?), last at 10.0.0.4:7883",
  ]);
});
