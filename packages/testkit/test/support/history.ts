/** Histories for checkers, written as short as they can be read. */

import type { Checker, Observation, PublishedPacket } from "../../src/observations.ts";

/** Feeds a whole history and ends it. Throws what the checker throws. */
export function check(checker: Checker, history: readonly Observation[]): void {
  for (const observation of history) checker.observe(observation);
  checker.finish?.();
}

export type Rest<Kind extends Observation["kind"]> = Omit<
  Extract<Observation, { kind: Kind }>,
  "kind" | "at"
>;

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

/** All nodes stop because every machine has lost its power. */
export const blackout = (at: number, ...nodes: string[]): Observation[] => [
  ...nodes.map((node) => seen(at, "stopped", { node, how: "power" })),
  seen(at, "blackout", {}),
];

/** CONNECT: of a session kept for an hour, unless `more` says otherwise. */
export const connecting = (
  at: number,
  client: string,
  node: string,
  more: Partial<Rest<"connectSent">> = {},
): Observation =>
  seen(at, "connectSent", {
    client,
    node,
    connection: 1,
    isClean: false,
    expirySeconds: 3600,
    keepAliveSeconds: 10,
    will: undefined,
    ...more,
  });

export const connected = (
  at: number,
  client: string,
  node: string,
  session = `${client}-1`,
  more: Partial<Rest<"connected">> = {},
): Observation => seen(at, "connected", { client, node, session, connection: 1, isPresent: false, ...more });

export const disconnected = (
  at: number,
  client: string,
  more: Partial<Rest<"disconnected">> = {},
): Observation => seen(at, "disconnected", { client, session: "", connection: 1, how: "lost", ...more });

/** They reach a quorum from now on. */
export const quorate = (at: number, ...nodes: string[]): Observation[] =>
  nodes.map((node) => seen(at, "quorum", { node, isReached: true }));

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
