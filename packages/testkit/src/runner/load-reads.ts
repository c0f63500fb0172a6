/**
 * Reads of what the runner's load writes: all its topics at once, on any node, at moments that matter.
 *
 * Those are the instant at which a write was acknowledged elsewhere (nobody may show what was before it from then on),
 * the sending of a write on the same node (nobody may show what can still be lost), and the election of a leader (it
 * must not answer yet). Half of the reads go to a node that says it leads, because one that was deposed and does not
 * know it is where an old value would come from. Often another read follows on another node, which must not see less
 * than the one before.
 *
 * Most reads ask the store as a broker does. Some come in through the broker: there the barrier of the SUBSCRIBE goes
 * before, which costs more events and gives a replica time to catch up.
 */

import { decodeUtf8, type Prng } from "@skein/kernel";
import { InsideReader } from "../client/inside-reader.ts";
import type { Checker, Observation } from "../observations.ts";
import { chance, pick, randomStream } from "../world/random-streams.ts";
import type { SimNode } from "../world/sim-node.ts";
import type { World } from "../world/world.ts";

/** Ends a read through the broker (retained-reader.ts). Nobody but this file writes it. */
const MARK = "mark";
const LISTENER = { allowAnonymous: true, name: "load" };
/** Of 1,000 writes so many are followed by a read: at their sending, at their acknowledgement. */
const PER_SENDING = 35;
const PER_ACKNOWLEDGEMENT = 70;
/** Of 1,000 reads so many: go to a node that leads, are followed by another one, come in through the broker. */
const AT_LEADER = 500;
const FOLLOWED = 500;
const THROUGH_BROKER = 250;
const GIVE_UP_MS = 10_000;

/** Sees what happens, as a checker does, to know when to read. */
export class LoadReads implements Checker {
  readonly name = "reads of the load";
  readonly #topics: readonly string[];
  readonly #filter: string;
  #world: World | undefined;
  #prng: Prng | undefined;
  #hasMark = false;
  #count = 0;

  /** `filter` matches `topics` and nothing else. */
  constructor(filter: string, topics: readonly string[]) {
    this.#filter = filter;
    this.#topics = topics;
  }

  begin(world: World): void {
    this.#world = world;
    this.#prng = randomStream(world.seed, "reads");
  }

  observe(observation: Observation): void {
    const { kind, node } = observation;
    // The load's own writes: their client is the node.
    const isHere =
      kind === "leader" ||
      (kind === "publishSent" && observation.client === node && this.#chance(PER_SENDING));
    if (isHere) this.#soon(({ id }) => id === node);
    else if (kind === "publishAcked" && observation.client === node && this.#chance(PER_ACKNOWLEDGEMENT))
      this.#soon(() => true);
  }

  #chance(perMille: number): boolean {
    return this.#prng !== undefined && chance(this.#prng, perMille);
  }

  /** At this instant, but not within the turn of the node that is observed. `isWanted`: which nodes, if they serve. */
  #soon(isWanted: (node: SimNode) => boolean): void {
    const world = this.#world;
    world?.events.after(0, () => {
      const nodes = world.nodes.filter(
        (node) => node.assembly?.isServing && node.process?.isPaused === false && isWanted(node),
      );
      this.#read(nodes);
    });
  }

  #read(nodes: readonly SimNode[]): void {
    const prng = this.#prng as Prng;
    const leading = nodes.filter(({ status }) => status?.role === "leader");
    const candidates = chance(prng, AT_LEADER) && leading.length > 0 ? leading : nodes;
    if (candidates.length === 0) return;
    const node = pick(prng, candidates);
    const isThroughBroker = chance(prng, THROUGH_BROKER);
    if (!isThroughBroker) this.#askStore(node);
    else if (this.#hasMark) this.#subscribe(node);
    else this.#writeMark(node);
  }

  #askStore(node: SimNode): void {
    const { process, assembly } = node;
    const askedAt = (this.#world as World).events.now;
    process?.turn(() => {
      assembly?.coordinator.retained.read({
        mayRead: (view) => {
          const values = new Map<string, string>();
          view.match(this.#filter, ({ topic, payload }) => {
            values.set(topic, decodeUtf8(payload, 0, payload.length));
          });
          this.#done(this.#topics, node, askedAt, values);
        },
      });
    });
  }

  #subscribe(node: SimNode): void {
    const { process, assembly } = node;
    const { events } = this.#world as World;
    const askedAt = events.now;
    const reader = new InsideReader(MARK, {
      turn: (input) => process?.turn(input),
      accept: (stream) => assembly?.broker.accept(stream, LISTENER),
      soon: (callback) => events.after(0, callback),
      closed: (isComplete) => {
        patience.cancel();
        const certain = this.#topics.filter((topic) => !reader.live.has(topic));
        if (isComplete) this.#done(certain, node, askedAt, reader.values);
        // A live mark ends a read too; without any it is lost and has to be written again.
        else if (!reader.live.has(MARK)) this.#hasMark = false;
      },
    });
    const patience = events.after(GIVE_UP_MS, () => reader.close());
    reader.read(`load-${this.#count++}`, this.#filter);
  }

  #writeMark({ process, assembly }: SimNode): void {
    this.#hasMark = true;
    const payload = Uint8Array.of(1);
    process?.turn(() => {
      assembly?.broker.publish(
        { topic: MARK, payload, qos: 0, retain: true, properties: undefined },
        undefined,
      );
    });
  }

  #done(
    topics: readonly string[],
    { id: node }: SimNode,
    askedAt: number,
    values: ReadonlyMap<string, string>,
  ): void {
    const world = this.#world as World;
    const at = world.events.now;
    for (const topic of topics) {
      const payloadId = values.get(topic) ?? null;
      world.observe({ at, node, kind: "retainedRead", client: "load", topic, payloadId, askedAt });
    }
    if (this.#chance(FOLLOWED)) this.#soon(({ id }) => id !== node);
  }
}
