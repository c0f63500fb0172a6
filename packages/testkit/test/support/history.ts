/** Histories for checkers, written as short as they can be read. */

import type { Checker, Observation, PublishedPacket } from "../../src/observations.ts";

/** Feeds a whole history and ends it. Throws what the checker throws. */
export function check(checker: Checker, history: readonly Observation[]): void {
  for (const observation of history) checker.observe(observation);
  checker.finish?.();
}

type Rest<Kind extends Observation["kind"]> = Omit<Extract<Observation, { kind: Kind }>, "kind" | "at">;

/** An observation of `kind` at `at`. */
export function seen<Kind extends Observation["kind"]>(
  at: number,
  kind: Kind,
  rest: Rest<Kind>,
): Observation {
  return { at, kind, ...rest } as unknown as Observation;
}

export const started = (at: number, ...nodes: string[]): Observation[] =>
  nodes.map((node) => seen(at, "started", { node, incarnation: 1 }));

export const connected = (at: number, client: string, node: string, session = `${client}-1`): Observation =>
  seen(at, "connected", { client, node, session });

export const disconnected = (at: number, client: string): Observation =>
  seen(at, "disconnected", { client, session: "" });

export const subscribed = (at: number, client: string, filter: string, qos: 0 | 1 | 2 = 1): Observation =>
  seen(at, "subscribeAcked", { client, filter, qos });

export const published = (
  at: number,
  client: string,
  node: string,
  packet: Partial<PublishedPacket> & { payloadId: string },
): Observation =>
  seen(at, "publishSent", { client, node, packet: { topic: "t", qos: 1, retain: false, ...packet } });

export const acked = (at: number, client: string, payloadId: string, reasonCode = 0): Observation =>
  seen(at, "publishAcked", { client, payloadId, reasonCode });

export const delivered = (
  at: number,
  client: string,
  payloadId: string,
  more: { qos?: 0 | 1 | 2; dup?: boolean; retain?: boolean } = {},
): Observation =>
  seen(at, "delivered", { client, payloadId, topic: "t", qos: 1, dup: false, retain: false, ...more });

export const end = (at: number): Observation => ({ at, kind: "end" });
export const healed = (at: number): Observation => ({ at, kind: "healed" });
