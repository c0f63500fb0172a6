/** The replicated state with sessions in it, driven by commands as nodes would propose them. */

import type {
  ApplicationMessage,
  Incarnation,
  NodeId,
  QoS,
  SessionOpening,
  SessionWill,
  SubscriptionWish,
} from "@skein/kernel";
import { STAMPS_PER_MS } from "../../src/hybrid-clock.ts";
import { encodeClusterCommand } from "../../src/state-machine/cluster-commands.ts";
import { encodeCommand, type Operation } from "../../src/state-machine/commands.ts";
import { type Applied, StateMachine } from "../../src/state-machine/state-machine.ts";

export const A = "00000000000000aa" as NodeId;
export const B = "00000000000000bb" as NodeId;
const C = "00000000000000cc" as NodeId;

const START_MS = 1_000_000;

/** One machine, and the numbers that proposers give their commands. */
export class SessionWorld {
  readonly machine = new StateMachine();
  /** Everything applied, in the order of the log. */
  readonly log: Uint8Array[] = [];
  readonly #sequences = new Map<string, number>();
  #index = 0;
  nowMs = START_MS;

  /** Proposes and applies. Returns what became of it, and its number. */
  propose(node: NodeId, operation: Operation, incarnation = 1): Applied & { readonly seq: number } {
    const key = `${node} ${incarnation}`;
    const seq = (this.#sequences.get(key) ?? 0) + 1;
    this.#sequences.set(key, seq);
    const envelope = { node, incarnation: incarnation as Incarnation, seq };
    const bytes = encodeCommand({ envelope, stamp: this.nowMs * STAMPS_PER_MS, operation });
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
      ...more,
    };
    return this.propose(node, { kind: "open", opening }, incarnation).seq;
  }

  subscribe(node: NodeId, clientId: string, claim: number, ...wishes: readonly SubscriptionWish[]): Applied {
    return this.propose(node, { kind: "subscribe", clientId, claim, wishes });
  }

  publish(node: NodeId, topic: string, payload: string, qos: QoS = 1, retain = false): Applied {
    return this.propose(node, {
      kind: "publish",
      publisher: undefined,
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
    const command = { kind: "nodeDown", node, incarnation: incarnation as Incarnation, by: C } as const;
    return this.#apply(encodeClusterCommand(command));
  }

  /** Time passes, and a leader says so. */
  pass(seconds: number): readonly string[] {
    const published: string[] = [];
    // No leader waits longer than this.
    for (let left = seconds; left > 0; left -= 60) {
      this.nowMs += Math.min(60, left) * 1000;
      const stamp = this.nowMs * STAMPS_PER_MS;
      const applied = this.#apply(encodeClusterCommand({ kind: "tick", stamp, ageMinutes: 0 }));
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
