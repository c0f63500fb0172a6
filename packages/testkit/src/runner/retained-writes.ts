/**
 * The load that every simulation has: retained writes with QoS 1 at the nodes themselves, each of a random topic on a random
 * node that serves, as if a client there had sent it.
 *
 * It comes in bursts with pauses between them: a log that grows all the time hides what happens to one that does not (a
 * voter that has missed nothing may be elected although the others hear their leader).
 */

import { type ApplicationMessage, SAFE_HERE_ONLY } from "@skein/kernel";
import type { NodeAssembly } from "skein/assembly";
import { between, pick, randomStream } from "../world/random-streams.ts";
import type { SimProcess } from "../world/sim-process.ts";
import type { World } from "../world/world.ts";

/** So few that every topic is written again and again. */
const RETAINED_TOPICS = 12;
const BURST_MS_MAX = 20_000;
const PAUSE_MS_MAX = 12_000;

/** What is written, and nothing else is below `topic`. */
export function retainedTopics(count = RETAINED_TOPICS): readonly string[] {
  return Array.from({ length: count }, (_, i) => `topic/${i}`);
}

export class RetainedWrites {
  readonly #world: World;
  readonly #topics: readonly string[];
  /** Mean time between two writes of a burst, ms. */
  readonly #everyMs: number;
  #isResting = false;
  #serial = 0;
  #pauseAt = 0;
  /** By payload: the process that has promised to acknowledge. */
  readonly #open = new Map<string, SimProcess>();

  /** `topics`: what it writes to, as a rule {@link retainedTopics}. */
  constructor(world: World, topics: readonly string[]) {
    this.#world = world;
    this.#topics = topics;
    this.#everyMs = pick(randomStream(world.seed, "writes"), [50, 200, 200]);
  }

  /** A write is held. What a process held when it died nobody waits for. */
  get isWaiting(): boolean {
    return [...this.#open.values()].some(({ isAlive }) => isAlive);
  }

  begin(): void {
    const { events, seed } = this.#world;
    if (this.#isResting) return;
    const prng = randomStream(seed, `write ${this.#serial++}`);
    this.#writeOne(prng.below(1000), pick(prng, this.#topics));
    const nextMs = between(prng, this.#everyMs / 10, 2 * this.#everyMs);
    if (events.now < this.#pauseAt) {
      events.after(nextMs, () => this.begin());
      return;
    }
    const pauseMs = prng.below(PAUSE_MS_MAX);
    this.#pauseAt = events.now + pauseMs + prng.below(BURST_MS_MAX);
    events.after(pauseMs, () => this.begin());
  }

  /** No more writes. */
  rest(): void {
    this.#isResting = true;
  }

  #writeOne(choice: number, topic: string): void {
    const world = this.#world;
    const serving = world.nodes.filter(
      ({ assembly, process }) => assembly?.isServing && process?.isPaused === false,
    );
    const { assembly, process, id } = serving[choice % Math.max(1, serving.length)] ?? {};
    if (assembly === undefined || process === undefined || id === undefined) return;
    const { retainedExpirySeconds: messageExpirySeconds } = world.options;
    const payloadId = `value-${this.#serial}`;
    const packet = { topic, payloadId, qos: 1, retain: true } as const;
    const message: ApplicationMessage = {
      ...packet,
      payload: Uint8Array.from(payloadId, (letter) => letter.charCodeAt(0)),
      properties: messageExpirySeconds === undefined ? undefined : { messageExpirySeconds },
    };
    world.observe({ at: world.events.now, node: id, kind: "publishSent", client: id, packet });
    this.#open.set(payloadId, process);
    process.turn(() => this.#publish(assembly, id, payloadId, message));
  }

  #publish(assembly: NodeAssembly, id: string, payloadId: string, message: ApplicationMessage): void {
    const world = this.#world;
    let parts = Number.POSITIVE_INFINITY;
    let settled = 0;
    let worst = 0;
    const settle = (reasonCode: number): void => {
      worst = Math.max(worst, reasonCode);
      if (++settled < parts) return;
      this.#open.delete(payloadId);
      const at = world.events.now;
      const acked = { at, node: id, kind: "publishAcked", client: id, payloadId } as const;
      if (worst === SAFE_HERE_ONLY) world.observe({ ...acked, reasonCode: 0, isSafeHereOnly: true });
      else world.observe({ ...acked, reasonCode: worst });
    };
    parts = assembly.broker.publish(message, { settle });
  }
}
