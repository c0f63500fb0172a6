import type { ApplicationMessage, Incarnation, NodeId } from "@skein/kernel";
import { expect, test } from "vitest";
import { EarlyMessages, nameOf } from "../../src/sessions/early-messages.ts";
import type { Command } from "../../src/state-machine/commands.ts";

const A = "000000000000000a" as NodeId;
const B = "000000000000000b" as NodeId;

function once(node: NodeId, seq: number, packetId: number, value: string, lifetime?: number): Command {
  const payload = new TextEncoder().encode(value);
  const properties = lifetime === undefined ? undefined : { messageExpirySeconds: lifetime };
  const message: ApplicationMessage = { topic: "t", payload, qos: 2, retain: false, properties };
  const envelope = { node, incarnation: 1 as Incarnation, seq };
  return {
    envelope,
    stamp: 0,
    operation: { kind: "publishOnce", isRepeated: false, clientId: "p", claim: 1, packetId, message },
  };
}

test("a QoS 2 message that was sent to two nodes is handed over once, and known when the log brings it by either", () => {
  const [viaA, viaB] = [once(A, 5, 7, "on"), once(B, 9, 7, "on")];
  for (const [first, other] of [
    [viaA, viaB],
    [viaB, viaA],
  ] as const) {
    const early = new EarlyMessages();
    expect([early.add(viaB, true), early.add(viaA, true)]).toEqual([true, false]);
    early.had(nameOf(viaB.envelope), "s");
    expect(early.take(first)).toEqual({ name: nameOf(viaB.envelope), clients: new Set(["s"]) });
    expect(early.take(other)).toBeUndefined();
    expect([early.isEmpty, early.add(viaA, true)]).toEqual([true, true]);
  }
});

test("the same message that has waited in one of them is known all the same", () => {
  const early = new EarlyMessages();
  early.add(once(B, 9, 7, "on", 60), true);
  expect(early.take(once(A, 5, 7, "on", 20))?.name).toBe(nameOf(once(B, 9, 7, "on").envelope));
});

test("another message under the same packet identifier, and the same under another, are not taken for it", () => {
  const early = new EarlyMessages();
  early.add(once(B, 9, 7, "on"), true);
  expect([early.take(once(A, 5, 7, "off")), early.take(once(A, 6, 8, "on"))]).toEqual([undefined, undefined]);
  expect([early.add(once(A, 5, 7, "off"), true), early.add(once(A, 6, 8, "on"), true)]).toEqual([true, true]);
});

test("who comes later gets what is kept, the oldest first, without what it has had and what the log has brought", () => {
  const early = new EarlyMessages();
  const messages = ["1", "2", "3", "4"].map((value, at) => once(A, at + 1, at + 1, value));
  for (const message of messages) early.add(message, true);
  early.add(once(B, 1, 1, "of another node"), false);
  early.had(nameOf((messages[1] as Command).envelope), "s");
  early.take(messages[0] as Command);
  expect([...early.keptFor("s")]).toEqual([messages[2], messages[3]]);
  expect([...early.keptFor("t")]).toEqual(messages.slice(1));
});

test("what a snapshot holds is forgotten, with who had it", () => {
  const early = new EarlyMessages();
  const [held, open] = [once(A, 1, 1, "held"), once(A, 2, 2, "open")];
  for (const command of [held, open]) early.add(command, false);
  early.had(nameOf(held.envelope), "s");
  early.forgetThose(({ seq }) => seq <= 1);
  expect(early.take(held)).toBeUndefined();
  expect(early.take(open)?.name).toBe(nameOf(open.envelope));
  expect(early.isEmpty).toBe(true);
});
