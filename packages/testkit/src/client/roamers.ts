/**
 * Clients whose sessions outlive everything: they come back on any node, at any moment of a handshake, after any time.
 *
 * Keepers subscribe and are away now and then; tellers publish with all QoS, from sessions that they take along, and have
 * wills; mortals come for a while and vanish without a word; a forgetful one keeps its session for seconds only, and sometimes
 * wants a new one; orphans leave a session with everything behind for much longer than its queue has room; sharers divide what a giver says among themselves. Between them they use every promise about kept sessions. Everything is drawn from the host's
 * own sequence.
 *
 * Source: reference/users.md 2.4; reference design, 4.2.
 */

import type { Prng, QoS } from "@skein/kernel";
import type { ClientTarget, PublishedWill, SimClientHost } from "../observations.ts";
import { type Flight, type Leaving, OUTWARD } from "./leaving.ts";
import type { PacketIdHabit } from "./packet-ids.ts";
import { type ClientProfile, FORGETFUL, MORTAL, ROAMER, ROAMER_V4 } from "./profiles.ts";
import { SimClient } from "./sim-client.ts";

export interface RoamersOptions {
  /** Nodes with an MQTT listener. */
  readonly nodes: number;
  /** Mean time between two steps of each client, ms. */
  readonly beatMs: number;
  /** Queues are so small that they overflow. */
  readonly hasOrphans: boolean;
  /** Some share a subscription. */
  readonly hasSharers: boolean;
  /** Which packet identifiers a client takes. */
  readonly habitOf: (clientId: string) => PacketIdHabit;
}

const TOPICS = 3;
const LEAVINGS: readonly Leaving[] = ["leave", "end", "reset", "abandon"];
const AWAY_MS_MAX = 12_000;
/** Of a session that is kept for seconds only, and of clients that vanish. */
const LONG_AWAY_MS_MAX = 70_000;
const ORPHANED_MS_MAX = 90_000;
/** Until a node that is gone counts as gone, and a little more: then others get what was its members'. */
const SHARER_AWAY_MS_MAX = 30_000;
const DOZE_MS_MAX = 3000;

export class Roamers {
  readonly #host: SimClientHost;
  readonly #prng: Prng;
  readonly #options: RoamersOptions;
  /** Those that a schedule may chase. */
  readonly #hunted: SimClient[] = [];
  readonly #mortals: SimClient[] = [];
  #isResting = false;
  #messages = 0;

  constructor(host: SimClientHost, options: RoamersOptions) {
    this.#host = host;
    this.#prng = host.prng;
    this.#options = options;
    for (let i = 0; i < 3; i++) this.#keeper(i);
    for (let i = 0; i < 3; i++) this.#teller(i);
    this.#forgetful();
    for (let i = 0; i < 2; i++) this.#mortal(i);
    if (options.hasOrphans) for (let i = 0; i < 2; i++) this.#orphan(i);
    if (options.hasSharers) {
      for (let i = 0; i < 3; i++) this.#sharer(i);
      this.#giver();
    }
  }

  /** Everybody who is away comes back, but for the mortals, and nobody leaves any more. */
  rest(): void {
    this.#isResting = true;
    for (const client of this.#hunted) {
      client.calmDown();
      if (!client.isStarted) client.start();
    }
  }

  /** Everybody is back and has said everything. */
  get isSettled(): boolean {
    return this.#hunted.every(({ isConnected, unfinished }) => isConnected && unfinished === 0);
  }

  /** Client number `client` flees at the moment that `flight` says. */
  chase(client: number, flight: Flight): void {
    const isOutward = OUTWARD.has(flight.moment);
    this.#hunted[client % this.#hunted.length]?.fleeAt(isOutward ? { ...flight, isSeen: true } : flight);
  }

  /** Subscribed to everything that the others say and leave behind. */
  #keeper(i: number): void {
    const keeper = this.#client(`keeper-${i}`, i === 2 ? ROAMER_V4 : ROAMER);
    keeper.subscribe("roam/#", i === 1 ? 1 : 2);
    if (i === 0) keeper.subscribe(["roam/teller-0/+", "roam/+/1"], 1);
    keeper.subscribe("wills/#", i === 1 ? 2 : 1);
    let isExtra = false;
    this.#beat(() => {
      if (this.#prng.below(8) === 0) this.#away(keeper, AWAY_MS_MAX);
      else if (this.#prng.below(12) === 0) keeper.comeBack(this.#pick(LEAVINGS));
      else if (this.#prng.below(10) === 0) {
        if (isExtra) keeper.unsubscribe("extra/+");
        else keeper.subscribe("extra/+", 2);
        isExtra = !isExtra;
      }
    });
  }

  #teller(i: number): void {
    const teller = this.#client(`teller-${i}`, i === 2 ? ROAMER_V4 : ROAMER, i === 1 ? 3 : 0);
    this.#beat(() => {
      for (let n = this.#prng.below(4); n >= 0; n--) {
        const topic =
          this.#prng.below(6) === 0 ? `extra/${i}` : `roam/teller-${i}/${this.#prng.below(TOPICS)}`;
        const qos = this.#pick<QoS>([0, 1, 1, 2, 2, 2]);
        const expirySeconds = i === 0 && this.#prng.below(6) === 0 ? 2 + this.#prng.below(8) : undefined;
        teller.publish(topic, `${teller.clientId}:${++this.#messages}`, qos, false, { expirySeconds });
      }
      if (this.#prng.below(10) === 0) teller.comeBack(this.#pick(LEAVINGS));
      else if (this.#prng.below(20) === 0) this.#away(teller, AWAY_MS_MAX);
    });
  }

  /** Away for longer than its session is kept, now and then, and sometimes it wants a new one. */
  #forgetful(): void {
    const forgetful = this.#client("forgetful", FORGETFUL);
    forgetful.subscribe("roam/+/0", 2);
    this.#beat(() => {
      if (this.#prng.below(10) === 0) this.#away(forgetful, this.#pick([AWAY_MS_MAX, LONG_AWAY_MS_MAX]));
    });
  }

  /** Subscribed to everything, and hardly ever there. */
  #orphan(i: number): void {
    const orphan = this.#client(`orphan-${i}`, i === 0 ? ROAMER_V4 : ROAMER);
    orphan.subscribe("roam/#", 2);
    orphan.subscribe("wills/#", 1);
    this.#beat(() => {
      if (this.#prng.below(4) === 0) this.#away(orphan, ORPHANED_MS_MAX);
    });
  }

  /** Member of a group that takes turns; now and then it reads nothing for a while, so that more is its own when it goes. */
  #sharer(i: number): void {
    const sharer = this.#client(`sharer-${i}`, i === 2 ? ROAMER_V4 : ROAMER);
    sharer.subscribe("$share/roam/share/#", i === 1 ? 1 : 2);
    this.#beat(() => {
      if (this.#prng.below(16) === 0) this.#away(sharer, SHARER_AWAY_MS_MAX);
      else if (this.#prng.below(24) === 0) sharer.comeBack(this.#pick(LEAVINGS));
      else if (this.#prng.below(8) === 0) sharer.pauseReading(this.#prng.below(DOZE_MS_MAX));
    });
  }

  /** Speaks to the sharers. */
  #giver(): void {
    const giver = this.#client("giver", ROAMER);
    this.#beat(() => {
      for (let n = this.#prng.below(16); n >= 0; n--) {
        const topic = `share/${this.#prng.below(TOPICS)}`;
        giver.publish(topic, `giver:${++this.#messages}`, this.#pick<QoS>([1, 1, 2]), false);
      }
      if (this.#prng.below(20) === 0) giver.comeBack(this.#pick(LEAVINGS));
    });
  }

  /** Comes, speaks, and vanishes without a word, for long, and in the end for good. */
  #mortal(i: number): void {
    const mortal = this.#make(`mortal-${i}`, MORTAL, 0);
    this.#mortals.push(mortal);
    this.#beat(() => {
      const topic = `roam/mortal-${i}/0`;
      mortal.publish(topic, `${mortal.clientId}:${++this.#messages}`, 1, false);
      if (mortal.isStarted && this.#prng.below(10) === 0) {
        mortal.stop(this.#pick<Leaving>(["end", "reset", "abandon", "leave"]));
        this.#host.clock.after(this.#prng.below(LONG_AWAY_MS_MAX), () => {
          if (!this.#isResting) mortal.start();
        });
      }
    });
  }

  #away(client: SimClient, forMsMax: number): void {
    if (!client.isStarted) return;
    client.stop(this.#pick(LEAVINGS));
    const isAnew = client.clientId === "forgetful" && this.#prng.below(3) === 0;
    this.#host.clock.after(this.#prng.below(forMsMax), () => {
      if (client.isStarted) return;
      if (isAnew) client.startAnew();
      else client.start();
    });
  }

  #client(clientId: string, profile: ClientProfile, willDelaySeconds = 0): SimClient {
    const client = this.#make(clientId, profile, willDelaySeconds);
    this.#hunted.push(client);
    return client;
  }

  #make(clientId: string, profile: ClientProfile, delaySeconds: number): SimClient {
    const will = (connection: number): PublishedWill => ({
      topic: `wills/${clientId}`,
      payloadId: `${clientId}:will-${connection}`,
      qos: 1,
      retain: false,
      delaySeconds,
    });
    const target = (): ClientTarget => `node:${this.#prng.below(this.#options.nodes)}`;
    const packetIds = this.#options.habitOf(clientId);
    const client = new SimClient(this.#host, { clientId, target, profile, packetIds, will });
    this.#host.clock.after(this.#prng.below(3000), () => client.start());
    return client;
  }

  /** Calls `step` again and again, at random times around the beat, until all rest. */
  #beat(step: () => void): void {
    const { beatMs } = this.#options;
    this.#host.clock.after(beatMs / 2 + this.#prng.below(beatMs), () => {
      if (this.#isResting) return;
      step();
      this.#beat(step);
    });
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#prng.below(items.length)] as T;
  }
}
