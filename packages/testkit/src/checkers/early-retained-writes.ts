/**
 * P8: what is written on either side of a split is not lost in silence. A retained write that was acknowledged without a quorum is
 * served at the end, may have been replaced, or is listed among the values that lost (`skein conflicts`).
 *
 * It may have been replaced by the value that is served, where that may have come after it: one that was sent later, or was not
 * acknowledged yet when this one was sent. Where it was, nothing explains the missing write: it has not taken effect, because then it would
 * have come after that value, and nobody is told that it lost. That does not depend on what else was written, nor on the order in
 * which the mesh took it in. (A value that was acknowledged without a quorum either has its place before, or lost itself.) Or by one that
 * its node may have taken behind it without a quorum, acknowledged or not, and that is listed: the writes of one node follow each other, and the last lost
 * for all. They do in the order in which it took them, which is the order of sending, repetitions included, for what one client sends with one QoS.
 *
 * Nothing is asked of a disk that may have lost it: rotten, wiped, copied, of a node that has left, with a sync that failed, or without power before
 * the last second was on it (`replicated`; if the node was disturbed, however much later). Nor of deletions, which no list
 * shows, and of messages that expire. What is acknowledged while there are two clusters may come into the one store at any later time
 * (merge-union.ts). A blackout begins a new history.
 *
 * Source: architecture.md section 5, "Without quorum".
 */

import type { Observation, PublishedPacket } from "../observations.ts";
import { BlackoutWatch, type Durability } from "./blackout-watch.ts";
import { ClusterWatch } from "./cluster-watch.ts";
import { EarlyAcknowledgements } from "./early-acknowledgements.ts";
import { FaultLedger } from "./fault-ledger.ts";

/** A whole node has what it acknowledged on its disk by then, in ms: it flushes once a second. */
const FLUSHED_MS = 2000;

/** What a node lists at the end. */
export interface ConflictList {
  /** Nothing was dropped for want of room or cleared. */
  readonly isWhole: boolean;
  readonly lost: readonly { readonly topic: string; readonly payloadId: string }[];
}

interface Write {
  readonly payloadId: string;
  /** It leaves nothing behind sooner or later: a deletion, or a message that expires. */
  readonly mayVanish: boolean;
  readonly firstSentAt: number;
  /** The first time it was sent, among all that are sent. */
  readonly firstSend: number;
  /** The nodes that it was published on, and the last time that it was sent there. */
  readonly lastSendTo: Map<string, number>;
  /** Who publishes it, with which QoS: a node takes these in the order in which they were sent. */
  readonly source: string;
  /** `early`: acknowledged without a quorum, and not otherwise. */
  state: "open" | "early" | "acknowledged";
  ackedAt: number;
  /** Who acknowledged it. */
  node: string;
  /** The disk that had it may have lost it. */
  isExcused: boolean;
}

export class EarlyRetainedWrites {
  readonly name = "retained writes without a quorum";
  readonly #durability: Durability;
  readonly #blackouts: BlackoutWatch;
  readonly #clusters = new ClusterWatch();
  readonly #faults = new FaultLedger();
  readonly #acknowledgements = new EarlyAcknowledgements();
  /** By topic and payload id. */
  readonly #topics = new Map<string, Map<string, Write>>();
  readonly #topicOf = new Map<string, string>();
  #sends = 0;
  /** Nodes whose disks are not to be relied upon. */
  readonly #unreliable = new Set<string>();

  constructor(durability: Durability) {
    this.#durability = durability;
    this.#blackouts = new BlackoutWatch(durability);
  }

  observe(observation: Observation): void {
    this.#clusters.observe(observation);
    this.#acknowledgements.observe(observation);
    if (this.#blackouts.observe(observation)) this.#topics.clear();
    const { kind, at, node = "" } = observation;
    if (kind === "publishSent" && observation.packet.retain)
      this.#sent(at, observation.client, observation.packet, node);
    // It is published whenever its connection ends, and nobody acknowledges it.
    if (kind === "connectSent" && observation.will?.retain === true)
      this.#sent(at, observation.client, observation.will);
    if (kind === "publishAcked" && observation.reasonCode < 0x80) this.#acked(observation);
    if (kind === "damaged" && observation.how === "power") this.#powerLost(node, at);
    if (kind === "vanished" || kind === "removed") this.#unreliable.add(node);
    if (kind === "damaged" && observation.how === "disk") this.#unreliable.add(node);
    if (kind === "copied") this.#unreliable.add(observation.of);
    this.#faults.observe(observation);
  }

  /**
   * Which write is neither served, nor replaced, nor listed; undefined: there is none.
   *
   * @param served what all nodes hold now: topic to payload id
   * @param lists what each node lists
   */
  missing(served: ReadonlyMap<string, string>, lists: readonly ConflictList[]): string | undefined {
    if (lists.some(({ isWhole }) => !isWhole)) return undefined;
    const listed = new Set(
      lists.flatMap(({ lost }) => lost.map(({ topic, payloadId }) => `${topic} ${payloadId}`)),
    );
    for (const [topic, writes] of this.#topics) {
      const value = served.get(topic);
      for (const write of writes.values()) {
        if (!this.#isOwed(write) || write.payloadId === value || listed.has(`${topic} ${write.payloadId}`))
          continue;
        const isListed = (other: Write): boolean => listed.has(`${topic} ${other.payloadId}`);
        if (mayHaveReplaced(writes, value, write) || hasSuccessor(writes, write, isListed)) continue;
        return `${write.payloadId}, which ${write.node} acknowledged without a quorum at ${write.ackedAt} ms, is not listed as lost, but "${topic}" is ${value}`;
      }
    }
    return undefined;
  }

  #isOwed({ state, mayVanish, isExcused, node }: Write): boolean {
    return state === "early" && !mayVanish && !isExcused && !this.#unreliable.has(node);
  }

  #sent(
    at: number,
    client: string,
    { topic, payloadId, qos, expirySeconds }: PublishedPacket,
    node?: string,
  ): void {
    const writes = this.#topics.get(topic) ?? new Map<string, Write>();
    this.#topics.set(topic, writes);
    this.#topicOf.set(payloadId, topic);
    const send = ++this.#sends;
    const write =
      writes.get(payloadId) ??
      newWrite(payloadId, {
        mayVanish: expirySeconds !== undefined || payloadId === "" || payloadId.startsWith("-"),
        firstSentAt: at,
        firstSend: send,
        source: `${client} ${qos}`,
      });
    writes.set(payloadId, write);
    // Once more: whatever was known of it, it may take effect later.
    write.state = "open";
    if (node !== undefined) write.lastSendTo.set(node, send);
  }

  #acked(acknowledgement: Extract<Observation, { kind: "publishAcked" }>): void {
    const { payloadId, at, node = "" } = acknowledgement;
    const write = this.#topics.get(this.#topicOf.get(payloadId) ?? "")?.get(payloadId);
    if (write === undefined || write.state === "acknowledged") return;
    const isEarly = this.#acknowledgements.isEarly(acknowledgement);
    if (!isEarly && this.#clusters.isSplit) return;
    write.state = isEarly ? "early" : "acknowledged";
    write.ackedAt = at;
    write.node = node;
  }

  #powerLost(node: string, at: number): void {
    if (this.#durability === "disk") return;
    const wholeSince = this.#faults.wholeSince(node) ?? Number.POSITIVE_INFINITY;
    for (const writes of this.#topics.values())
      for (const write of writes.values()) {
        if (write.state !== "early" || write.node !== node) continue;
        write.isExcused ||= at - write.ackedAt < FLUSHED_MS || wholeSince > write.firstSentAt;
      }
  }
}

/** Whether what is served now may have come after `write`. What nobody is known to have written is judged elsewhere. */
function mayHaveReplaced(
  writes: ReadonlyMap<string, Write>,
  value: string | undefined,
  write: Write,
): boolean {
  const mayComeAfter = (other: Write): boolean =>
    other !== write && (other.state === "open" || other.ackedAt >= write.firstSentAt);
  if (value === undefined) return [...writes.values()].some((it) => it.mayVanish && mayComeAfter(it));
  const served = writes.get(value);
  return served === undefined || mayComeAfter(served);
}

/** Whether its node may have taken another one behind it that is listed, without a quorum: so it was, or it would not be. */
function hasSuccessor(
  writes: ReadonlyMap<string, Write>,
  write: Write,
  isListed: (write: Write) => boolean,
): boolean {
  return [...writes.values()].some(
    (other) => other.state !== "acknowledged" && mayBeBehind(other, write) && isListed(other),
  );
}

/** Whether the node that has acknowledged `write` may have taken `other` after it. */
function mayBeBehind(other: Write, { node, source, firstSend, firstSentAt }: Write): boolean {
  const lastSend = other.lastSendTo.get(node);
  if (lastSend === undefined) return false;
  if (other.source === source) return lastSend > firstSend;
  // Where it has not acknowledged it, it may take it at any time.
  return other.state === "open" || other.node !== node || other.ackedAt >= firstSentAt;
}

function newWrite(
  payloadId: string,
  sent: Pick<Write, "mayVanish" | "firstSentAt" | "firstSend" | "source">,
): Write {
  return {
    ...sent,
    payloadId,
    lastSendTo: new Map(),
    state: "open",
    ackedAt: 0,
    node: "",
    isExcused: false,
  };
}
