import type { ApplicationMessage, Incarnation, NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { EarlyMessages, nameOf } from "../../src/sessions/early-messages.ts";
import type { Command } from "../../src/state-machine/commands.ts";

const A = "000000000000000a" as NodeId;
const B = "000000000000000b" as NodeId;

function once(node: NodeId, seq: number, packetId: number, value: string): Command {
  const payload = new TextEncoder().encode(value);
  const message: ApplicationMessage = { topic: "t", payload, qos: 2, retain: false, properties: undefined };
  const envelope = { node, incarnation: 1 as Incarnation, seq };
  return {
    envelope,
    stamp: 0,
    operation: { kind: "publishOnce", clientId: "p", claim: 1, packetId, message },
  };
}

test("a QoS 2 message that was sent to two nodes is handed over once, and known when the log brings it by either", () => {
  const [viaA, viaB] = [once(A, 5, 7, "on"), once(B, 9, 7, "on")];
  for (const [first, other] of [
    [viaA, viaB],
    [viaB, viaA],
  ] as const) {
    const early = new EarlyMessages();
    expect([early.add(viaB), early.add(viaA)]).toEqual([true, false]);
    early.had(nameOf(viaB.envelope), "s");
    expect(early.take(first)).toEqual({ name: nameOf(viaB.envelope), clients: new Set(["s"]) });
    expect(early.take(other)).toBeUndefined();
    expect([early.isEmpty, early.add(viaA)]).toEqual([true, true]);
  }
});

test("another message under the same packet identifier, and the same under another, are not taken for it", () => {
  const early = new EarlyMessages();
  early.add(once(B, 9, 7, "on"));
  expect([early.take(once(A, 5, 7, "off")), early.take(once(A, 6, 8, "on"))]).toEqual([undefined, undefined]);
  expect([early.add(once(A, 5, 7, "off")), early.add(once(A, 6, 8, "on"))]).toEqual([true, true]);
});
