/** The replicated state with sessions in it, driven by commands as nodes would propose them. */

import type {
  ApplicationMessage,
  ClusterId,
  Incarnation,
  NodeId,
  QoS,
  SessionOpening,
  SessionWill,
  SubscriptionWish,
} from "@skein/kernel";
import { STAMPS_PER_MS } from "../../src/hybrid-clock.ts";
import type { Applied } from "../../src/state-machine/applied.ts";
import { type ClusterCommand, encodeClusterCommand } from "../../src/state-machine/cluster-commands.ts";
import { type Alone, encodeCommand, type Operation } from "../../src/state-machine/commands.ts";
import { type Chunk, MergeExport } from "../../src/state-machine/merge-export.ts";
import { QUEUED_BYTES_MAX, QUEUED_MESSAGES_MAX } from "../../src/state-machine/sessions/session-queue.ts";
import { StateMachine } from "../../src/state-machine/state-machine.ts";

export const A = "00000000000000aa" as NodeId;
export const B = "00000000000000bb" as NodeId;
const C = "00000000000000cc" as NodeId;

/** A cluster that takes another one in. */
const US = "11111111-1111-4111-8111-111111111111" as ClusterId;
/** That one. */
export const THEM = "22222222-2222-4222-8222-222222222222" as ClusterId;

const START_MS = 1_000_000;

/** Its node had applied the log up to `seenThrough` when it acknowledged it without a quorum. */
export function aloneAt(seenThrough: number, had: readonly string[] = []): Alone {
  return { cluster: US, seenThrough, stamp: 1, had, isAcknowledged: true };
}

/** One machine, and the numbers that proposers give their commands. */
export class SessionWorld {
  /** Payloads of any history begin with it. */
  readonly name: string;
  readonly machine = new StateMachine();
  /** Everything applied, in the order of the log. */
  readonly log: Uint8Array[] = [];
  readonly #sequences = new Map<string, number>();
  /** By client: where the ordinals of its session began. */
  readonly #firstOrdinals = new Map<string, number>();
  #index = 0;
  nowMs = START_MS;

  constructor(name = "") {
    this.name = name;
  }

  /** Proposes and applies. Returns what became of it, and its number. */
  propose(
    node: NodeId,
    operation: Operation,
    incarnation = 1,
    alone?: Alone,
  ): Applied & { readonly seq: number } {
    const key = `${node} ${incarnation}`;
    const seq = (this.#sequences.get(key) ?? 0) + 1;
    this.#sequences.set(key, seq);
    const envelope = { node, incarnation: incarnation as Incarnation, seq };
    const bytes = encodeCommand({ envelope, stamp: this.nowMs * STAMPS_PER_MS, alone, operation });
    return { ...this.#apply(bytes), seq };
  }

  /** Returns the claim. */
  open(node: NodeId, clientId: string, more: Partial<SessionOpening> = {}, incarnation = 1): number {
    const opening = {
      clientId,
      cleanStart: false,
      expirySeconds: 3600,
      keepAliveSeconds: 60,
      will: undefined,
      queuedMessagesMax: QUEUED_MESSAGES_MAX,
      queuedBytesMax: QUEUED_BYTES_MAX,
      ...more,
    };
    const isNew = this.machine.sessions.get(clientId) === undefined;
    const { seq } = this.propose(node, { kind: "open", opening }, incarnation);
    const { nextOrdinal = 0 } = this.machine.sessions.get(clientId)?.queue ?? {};
    if (isNew) this.#firstOrdinals.set(clientId, nextOrdinal);
    return seq;
  }

  /** Ordinals of the messages that the session was owed as its 0th, 1st, 2nd, ... since it began. */
  ordinals(clientId: string, ...places: readonly number[]): number[] {
    return places.map((place) => this.ordinal(clientId, place));
  }

  ordinal(clientId: string, place: number): number {
    return (this.#firstOrdinals.get(clientId) ?? 0) + place;
  }

  subscribe(node: NodeId, clientId: string, claim: number, ...wishes: readonly SubscriptionWish[]): Applied {
    return this.propose(node, { kind: "subscribe", clientId, claim, wishes });
  }

  publish(
    node: NodeId,
    topic: string,
    payload: string,
    qos: QoS = 1,
    retain = false,
    served: readonly string[] = [],
  ): Applied {
    return this.propose(node, {
      kind: "publish",
      publisher: undefined,
      served,
      message: message(topic, payload, qos, retain),
    });
  }

  close(
    node: NodeId,
    clientId: string,
    claim: number,
    fate: "publish" | "discard" | "defer" = "publish",
  ): Applied {
    const session = this.machine.sessions.get(clientId);
    const expirySeconds = session?.expirySeconds ?? 0;
    return this.propose(node, { kind: "close", clientId, claim, fate, expirySeconds, sentThrough: -1 });
  }

  nodeDown(node: NodeId, incarnation = 1): Applied {
    return this.decide({ kind: "nodeDown", node, incarnation: incarnation as Incarnation, by: C });
  }

  decide(command: ClusterCommand): Applied {
    return this.#apply(encodeClusterCommand(command));
  }

  /** Gives itself up in favour of `winner`, who takes everything in. Returns what became of the MERGED. */
  mergeInto(winner: SessionWorld, { chunkBytes = 1000, shift = 0 } = {}): Applied {
    const cut = this.dissolve(chunkBytes);
    for (const chunk of this.chunks(chunkBytes)) winner.take(chunk, cut, shift);
    return winner.decide({ kind: "merged", loser: THEM, cut });
  }

  /** Returns the cut. */
  dissolve(chunkBytes: number): number {
    this.decide({ kind: "dissolve", winner: US, chunkBytes });
    return this.#index;
  }

  /** The state at the cut. */
  chunks(chunkBytes: number): readonly Chunk[] {
    const pieces = new MergeExport(this.machine, chunkBytes);
    const chunks: Chunk[] = [];
    for (let chunk = pieces.chunk(0); chunk !== undefined; chunk = pieces.chunk(chunks.length))
      chunks.push(chunk);
    return chunks;
  }

  /** A chunk of the other cluster comes. */
  take({ number, isLast, bytes }: Chunk, cut: number, shift = 0): Applied {
    const stamp = this.nowMs * STAMPS_PER_MS;
    const names = { winner: US, loser: THEM, cut, chunk: number };
    return this.decide({ kind: "merge", ...names, isLast, stamp, shift, bytes });
  }

  /** A cluster that is founded anew with what this one has. */
  fork(name: string, parent: ClusterId = US): SessionWorld {
    const fork = new SessionWorld(name);
    fork.machine.restore(this.machine.snapshot());
    fork.#index = this.#index;
    fork.nowMs = this.nowMs;
    for (const [key, seq] of this.#sequences) fork.#sequences.set(key, seq);
    for (const [clientId, ordinal] of this.#firstOrdinals) fork.#firstOrdinals.set(clientId, ordinal);
    fork.decide({ kind: "fork", parent, index: this.#index });
    return fork;
  }

  /** Time passes, and a leader says so. */
  pass(seconds: number): readonly string[] {
    const published: string[] = [];
    // No leader waits longer than this.
    for (let left = seconds; left > 0; left -= 60) {
      this.nowMs += Math.min(60, left) * 1000;
      const stamp = this.nowMs * STAMPS_PER_MS;
      const applied = this.decide({ kind: "tick", stamp, ageMinutes: 0 });
      published.push(...publishedBy(applied));
    }
    return published;
  }

  /** Payloads that `clientId` is owed, in order. */
  owed(clientId: string): string[] {
    const queue = this.machine.sessions.get(clientId)?.queue;
    return [...(queue ?? [])].map(({ message: { payload } }) => new TextDecoder().decode(payload));
  }

  #apply(bytes: Uint8Array): Applied {
    this.log.push(bytes);
    return this.machine.apply(bytes, ++this.#index);
  }
}

export function publishedBy({ publications = [] }: Applied): string[] {
  return publications.map(({ message: { payload } }) => new TextDecoder().decode(payload));
}

export function message(topic: string, payload: string, qos: QoS = 1, retain = false): ApplicationMessage {
  return { topic, payload: new TextEncoder().encode(payload), qos, retain, properties: undefined };
}

export function wish(filter: string, more: Partial<SubscriptionWish> = {}): SubscriptionWish {
  return {
    filter,
    qos: 2,
    noLocal: false,
    retainAsPublished: false,
    identifier: undefined,
    retainHandling: 0,
    ...more,
  };
}

export function will(topic: string, payload: string, delaySeconds = 0): SessionWill {
  return { message: message(topic, payload), delaySeconds };
}
