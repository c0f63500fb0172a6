/**
 * Writes retained messages through the floating address for as long as a test runs, and remembers what was promised.
 *
 * One message at a time at QoS 1, each value a higher number than all before it. A value whose PUBACK came must be
 * there afterwards. A value whose PUBACK did not come may or may not be: the old coordinator may have taken it, and
 * its copy may still be committed after a later value was acknowledged (a pending write may take effect at any
 * moment after its call, also in a linearizable store). So a topic may show its last acknowledged value, a newer
 * one, or any that was never answered.
 */

import { setTimeout as delay } from "node:timers/promises";
import type { MqttClient } from "mqtt";
import { connect } from "./clients.ts";

const TOPICS = 200;
const PUBACK_TIMEOUT_MS = 1000;
/** About 100 messages a second: steady traffic, not a load test. */
const PAUSE_MS = 10;

/** The writer; it runs from construction to {@link RetainedWriter.stop}. */
export class RetainedWriter {
  readonly prefix: string;
  readonly #host: string;
  readonly #acknowledged = new Map<string, number>();
  readonly #unanswered = new Map<string, Set<number>>();
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  #value = 0;

  constructor(host: string, prefix: string) {
    this.#host = host;
    this.prefix = prefix;
    this.#done = this.#run();
  }

  /** Topics with their last acknowledged value, as of now. */
  promised(): ReadonlyMap<string, number> {
    return new Map(this.#acknowledged);
  }

  /** How many values were acknowledged and how many were never answered. */
  get counts(): { readonly sent: number; readonly unanswered: number } {
    const unanswered = [...this.#unanswered.values()].reduce((sum, values) => sum + values.size, 0);
    return { sent: this.#value, unanswered };
  }

  /** Topics of `promised` for which `seen` breaks the promise, with both values. */
  broken(promised: ReadonlyMap<string, number>, seen: ReadonlyMap<string, string>): string[] {
    const losses: string[] = [];
    for (const [topic, acknowledged] of promised) {
      const text = seen.get(topic);
      const value = Number(text);
      if (text !== undefined && (value >= acknowledged || this.#unanswered.get(topic)?.has(value))) continue;
      losses.push(`${topic}: acknowledged ${acknowledged}, found ${text ?? "nothing"}`);
    }
    return losses;
  }

  /** Ends after the message in flight; nothing is written any more when it returns. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    let client: MqttClient | undefined;
    while (!this.#stopping.signal.aborted) {
      try {
        client ??= await connect(this.#host);
        await this.#writeOne(client);
      } catch {
        // The address is moving: drop the connection as a device would, and try again.
        client?.end(true);
        client = undefined;
      }
      await delay(PAUSE_MS);
    }
    client?.end(true);
  }

  async #writeOne(client: MqttClient): Promise<void> {
    this.#value += 1;
    const value = this.#value;
    const topic = `${this.prefix}/${value % TOPICS}`;
    const unanswered = this.#unanswered.get(topic) ?? new Set();
    this.#unanswered.set(topic, unanswered.add(value));
    const timeout = AbortSignal.timeout(PUBACK_TIMEOUT_MS);
    await new Promise<void>((resolve, reject) => {
      const giveUp = (): void => reject(new Error("no PUBACK"));
      timeout.addEventListener("abort", giveUp, { once: true });
      client.once("close", giveUp);
      client.publish(topic, String(value), { qos: 1, retain: true }, (error) => {
        client.off("close", giveUp);
        if (error) reject(error);
        else resolve();
      });
    });
    unanswered.delete(value);
    this.#acknowledged.set(topic, value);
  }
}
