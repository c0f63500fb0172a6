/**
 * Every connection with a will and what has become of it, as its client sees it; and which connection each message was published on
 * first.
 */

import type { Observation, PublishedWill } from "../observations.ts";
import { ClusterWatch } from "./cluster-watch.ts";

/** All times in the world's ms. */
export interface WillConnection {
  readonly client: string;
  readonly connection: number;
  readonly will: PublishedWill;
  readonly node: string | undefined;
  readonly keepAliveSeconds: number;
  readonly sentAt: number;
  acceptedAt: number | undefined;
  endedAt: number | undefined;
  /** Its client sent DISCONNECT, behind nothing that its node might refuse: a 3.x client is cut off for that. */
  isLeft: boolean;
  /** The first newer connection of the client that was acknowledged. */
  newer: WillConnection | undefined;
  /** It lived long enough with a quorum: the mesh knows of its will. */
  isKnown: boolean;
  /** When an undisturbed node took its DISCONNECT. */
  takenAt: number | undefined;
  /** The mesh knows of that. */
  isForgone: boolean;
  /** Its CONNECT may have come behind the client's next one: its node was paused, or it was lost once on its way. */
  isHeldUp: boolean;
  /** When its node, undisturbed so far, crashed or lost its power under it. */
  nodeDiedAt: number | undefined;
  /** When its will came to somebody for the first time: it had been published by then. */
  heardAt: number | undefined;
}

/** A piece that is lost on its way to a node comes within that, in ms. */
const RETRANSMITTED_MS = 1100;

export interface Publication {
  readonly client: string;
  readonly connection: number;
  readonly node: string | undefined;
  readonly sentAt: number;
  /** There were two clusters then. */
  readonly isSplit: boolean;
}

export class ClientConnections {
  readonly #byWill = new Map<string, WillConnection>();
  /** With a will, newest last; those whose wills may still come. */
  readonly #byClient = new Map<string, WillConnection[]>();
  readonly #numbers = new Map<string, number>();
  readonly #publications = new Map<string, Publication>();
  /** By client: QoS 1 and 2 messages of the connection under way that are not acknowledged. */
  readonly #open = new Map<string, Set<string>>();
  readonly #paused = new Set<string>();
  readonly #clusters = new ClusterWatch();

  observe(observation: Observation): void {
    const { at } = observation;
    this.#clusters.observe(observation);
    if (observation.kind === "stopped") this.#stopped(observation);
    else if (observation.kind === "connectSent") this.#begun(observation);
    else if (observation.kind === "connected") {
      const { client, connection } = observation;
      const accepted = this.of(client, connection);
      if (accepted !== undefined) accepted.acceptedAt = at;
      for (const each of this.#byClient.get(client) ?? []) if (each !== accepted) each.newer ??= accepted;
    } else if (observation.kind === "disconnected") {
      const ended = this.of(observation.client, observation.connection);
      const isLeft = observation.how === "left" && !this.#open.has(observation.client);
      if (ended !== undefined) Object.assign(ended, { endedAt: at, isLeft });
    } else if (observation.kind === "publishAcked") {
      const open = this.#open.get(observation.client);
      if (open?.delete(observation.payloadId) === true && open.size === 0)
        this.#open.delete(observation.client);
    } else if (observation.kind === "publishSent") {
      const { client, packet, node } = observation;
      const { isSplit } = this.#clusters;
      const connection = this.#numbers.get(client);
      if (packet.qos > 0) this.#opened(client, packet.payloadId);
      if (connection !== undefined && packet.qos > 0 && !this.#publications.has(packet.payloadId))
        this.#publications.set(packet.payloadId, { client, connection, node, sentAt: at, isSplit });
    }
  }

  of(client: string, connection: number): WillConnection | undefined {
    return this.#byClient.get(client)?.find((each) => each.connection === connection);
  }

  /** Number of the newest connection that the client has begun. */
  newestOf(client: string): number {
    return this.#numbers.get(client) ?? 0;
  }

  /** The one with this will. */
  ofWill(payloadId: string): WillConnection | undefined {
    return this.#byWill.get(payloadId);
  }

  /** Where a QoS 1 or 2 message was published first. */
  publicationOf(payloadId: string): Publication | undefined {
    return this.#publications.get(payloadId);
  }

  /** Accepted and, as far as their clients know, alive. */
  *alive(): Iterable<WillConnection> {
    for (const connections of this.#byClient.values()) {
      const newest = connections.at(-1);
      if (newest?.acceptedAt !== undefined && newest.endedAt === undefined) yield newest;
    }
  }

  #opened(client: string, payloadId: string): void {
    const open = this.#open.get(client);
    if (open === undefined) this.#open.set(client, new Set([payloadId]));
    else open.add(payloadId);
  }

  #stopped({ node = "", how }: Extract<Observation, { kind: "stopped" }>): void {
    this.#paused.delete(node);
    if (how !== "pause") return;
    this.#paused.add(node);
    for (const connections of this.#byClient.values())
      for (const each of connections)
        if (each.node === node && each.acceptedAt === undefined) each.isHeldUp = true;
  }

  #begun(attempt: Extract<Observation, { kind: "connectSent" }>): void {
    const { client, connection, will, node, keepAliveSeconds, at } = attempt;
    this.#numbers.set(client, connection);
    this.#open.delete(client);
    for (const each of this.#byClient.get(client) ?? [])
      if (each.acceptedAt === undefined && at - each.sentAt < RETRANSMITTED_MS) each.isHeldUp = true;
    if (will === undefined) return;
    const begun: WillConnection = {
      client,
      connection,
      will,
      node,
      keepAliveSeconds,
      sentAt: at,
      acceptedAt: undefined,
      endedAt: undefined,
      isLeft: false,
      newer: undefined,
      isKnown: false,
      takenAt: undefined,
      isForgone: false,
      isHeldUp: this.#paused.has(node ?? ""),
      nodeDiedAt: undefined,
      heardAt: undefined,
    };
    this.#byWill.set(will.payloadId, begun);
    const connections = this.#byClient.get(client);
    if (connections === undefined) this.#byClient.set(client, [begun]);
    else connections.push(begun);
  }
}
