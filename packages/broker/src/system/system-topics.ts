/**
 * `$SYS`: what a node tells of itself, to its own clients only.
 *
 * The values look like retained messages but are none: nothing is stored, nothing goes to other nodes. Who subscribes gets them as
 * they are at that moment, and from then on those that have changed, every few seconds. Where nobody subscribes nothing is made. Only
 * the averages need to be brought up to date all the time; that is a few multiplications.
 *
 * Source: MQTT 5 section 4.7.2 (topics beginning with $); users.md 3.4.
 */

import {
  type ApplicationMessage,
  encodeUtf8Into,
  filterMatches,
  type MonotonicMs,
  utf8Length,
} from "@skein/kernel";
import type { Counters } from "../counters.ts";
import type { NodeFigures, RetainedView } from "../ports.ts";
import { type BrokerFigures, BrokerTopics, type VisitValue } from "./broker-topics.ts";

const ROOT = "$SYS";

export interface SystemTopicsPorts {
  readonly counters: Readonly<Counters>;
  readonly figures: () => Omit<BrokerFigures, "counters" | "version" | "builtAt" | "memoryBytes">;
  /** Undefined: a broker without a node around it. */
  readonly node: NodeFigures | undefined;
}

/** Whether a Topic Name or Topic Filter is of this tree. */
export function isSystemTopic(topic: string): boolean {
  return topic.startsWith(ROOT) && (topic.length === ROOT.length || topic[ROOT.length] === "/");
}

export class SystemTopics implements RetainedView {
  readonly #intervalMs: number;
  readonly #ports: SystemTopicsPorts;
  readonly #broker = new BrokerTopics();
  /** What subscribers were told last. */
  #told = new Map<string, string>();
  #sampledAt: MonotonicMs;

  /** `intervalSeconds` 0: the tree is empty. */
  constructor(intervalSeconds: number, startedAt: MonotonicMs, ports: SystemTopicsPorts) {
    this.#intervalMs = intervalSeconds * 1000;
    this.#ports = ports;
    this.#sampledAt = startedAt;
  }

  /** Call it often. True: it is time for {@link changes}. */
  tick(now: MonotonicMs): boolean {
    const elapsedMs = now - this.#sampledAt;
    if (this.#intervalMs === 0 || elapsedMs < this.#intervalMs) return false;
    this.#sampledAt = now;
    this.#broker.sample(this.#ports.counters, this.#memoryBytes(), elapsedMs);
    return true;
  }

  /** Values that are not what they were when this was called before. */
  changes(visit: (message: ApplicationMessage) => void): void {
    const told = new Map<string, string>();
    this.#each((topic, value) => {
      if (this.#told.get(topic) !== value) visit(messageOf(topic, value));
      told.set(topic, value);
    });
    this.#told = told;
  }

  match(filter: string, visit: (message: ApplicationMessage) => void): void {
    this.#each((topic, value) => {
      if (filterMatches(filter, topic)) visit(messageOf(topic, value));
    });
  }

  #each(visit: (topic: string, value: string) => void): void {
    if (this.#intervalMs === 0) return;
    const { counters, figures, node } = this.#ports;
    const tell: VisitValue = (name, value) => visit(`${ROOT}/${name}`, String(value));
    const { version = "", builtAt } = node ?? {};
    this.#broker.visit({ ...figures(), counters, version, builtAt, memoryBytes: this.#memoryBytes() }, tell);
    node?.visit(tell);
  }

  #memoryBytes(): number {
    return this.#ports.node?.memoryBytes() ?? 0;
  }
}

/** QoS 0: figures that had to wait are worth nothing. */
function messageOf(topic: string, value: string): ApplicationMessage {
  const payload = new Uint8Array(utf8Length(value));
  encodeUtf8Into(value, payload, 0);
  return { topic, payload, qos: 0, retain: true, properties: undefined };
}
