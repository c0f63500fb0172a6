/**
 * What clients do all day: sensors tell, people command, states are kept and deleted, workers share.
 *
 * Each workload is a few clients and a beat on the world's clock, everything random from one seeded sequence. Between
 * them they use every kind of delivery that a promise speaks about: all QoS, wildcards, overlapping filters, persistent
 * sessions, retained writes from several nodes to the same topic, shared subscriptions, clients that move and come back,
 * a reader that is slower than what it reads.
 *
 * Source: reference/users.md, sections 1.3 and 2.1.
 */

import type { Prng, QoS } from "@skein/kernel";
import type { ClientTarget, SimClientHost } from "../observations.ts";
import type { PacketIdHabit } from "./packet-ids.ts";
import {
  type ClientProfile,
  ESPHOME,
  HOME_ASSISTANT,
  MQTT_JS,
  PAHO,
  PERSISTENT_V5,
  TASMOTA,
} from "./profiles.ts";
import { MARK_TOPIC, RetainedReader } from "./retained-reader.ts";
import { SimClient } from "./sim-client.ts";
import type { SimClientEvents } from "./sim-client-options.ts";

export interface HouseholdOptions {
  /** Nodes with an MQTT listener. */
  readonly nodes: number;
  /** Whether some clients use the address that moves. */
  readonly hasFloatingAddress: boolean;
  /** Mean time between two steps of each workload, ms. */
  readonly beatMs: number;
  /** Which packet identifiers a client takes; undefined: all count on. */
  readonly habitOf?: (clientId: string) => PacketIdHabit;
}

/** Clients at work. */
export interface Household {
  /** No new messages and no more moving; the clients stay connected, so that what is under way can end. */
  rest(): void;
  /** Disconnects every client. */
  stop(): void;
}

/** Starts one of each workload. */
export function startHousehold(host: SimClientHost, options: HouseholdOptions): Household {
  const household = new RunningHousehold(host, options);
  household.telemetry();
  household.commands();
  household.retainedStates();
  household.sharedWorkers();
  household.newcomers();
  household.slowReader();
  return household;
}

/** The same with nothing that goes through the log: what is acknowledged has gone over links alone. */
export function startTalkers(host: SimClientHost, options: HouseholdOptions): Household {
  const household = new RunningHousehold(host, options);
  household.talkers();
  return household;
}

/** Less than what the checkers allow a message to take. */
const READING_PAUSE_MS_MAX = 2500;
const PICTURE_BYTES = 40_000;

/** Topics whose retained values are written from several nodes and read on all. */
const STATES = ["home/hall/state", "home/attic/state", "home/cellar/state"];

class RunningHousehold implements Household {
  readonly #host: SimClientHost;
  readonly #prng: Prng;
  readonly #options: HouseholdOptions;
  readonly #clients: SimClient[] = [];
  #isResting = false;
  #messages = 0;

  constructor(host: SimClientHost, options: HouseholdOptions) {
    this.#host = host;
    this.#prng = host.prng;
    this.#options = options;
  }

  rest(): void {
    this.#isResting = true;
  }

  stop(): void {
    this.#isResting = true;
    for (const client of this.#clients) client.stop();
  }

  /** Sensors on every node, a hub with a wildcard on one node and a logger with overlapping filters on another. */
  telemetry(): void {
    const profiles = [TASMOTA, ESPHOME, MQTT_JS];
    const hub = this.#client("hub", HOME_ASSISTANT);
    hub.subscribe("tele/#", 1);
    const logger = this.#client("logger", PERSISTENT_V5);
    logger.subscribe("tele/+/SENSOR", 2);
    logger.subscribe("tele/#", 0);
    for (let i = 0; i < this.#options.nodes; i++) {
      const sensor = this.#client(`sensor-${i}`, profiles[i % profiles.length] as ClientProfile);
      this.#beat(() => {
        const qos = this.#prng.below(3) as QoS;
        this.#publish(sensor, `tele/${sensor.clientId}/SENSOR`, qos, false);
      });
    }
  }

  /** On every node one who speaks and one who hears all of it, whose sessions end with their connections. */
  talkers(): void {
    for (let i = 0; i < this.#options.nodes; i++) {
      const hearer = this.#clientOn(`hearer-${i}`, MQTT_JS, `node:${i}`);
      hearer.subscribe("talk/#", (1 + (i % 2)) as QoS);
      const talker = this.#clientOn(`talker-${i}`, MQTT_JS, `node:${i}`);
      this.#beat(() => this.#publish(talker, `talk/${i}`, (1 + this.#prng.below(2)) as QoS, false));
    }
  }

  /** Switches that must obey once: QoS 2 and QoS 1 in bursts, to subscribers that move from node to node. */
  commands(): void {
    const remote = this.#client("remote", PAHO);
    const phone = this.#client("phone", PERSISTENT_V5);
    for (const [i, profile] of [ESPHOME, MQTT_JS].entries()) {
      const device = this.#client(`switch-${i}`, profile);
      device.subscribe(`cmnd/${device.clientId}/+`, 2);
      this.#beat(() => {
        if (this.#prng.below(20) === 0) device.moveTo(this.#target());
        const sender = this.#prng.below(2) === 0 ? remote : phone;
        const qos = this.#prng.below(2) === 0 ? 1 : 2;
        for (let n = this.#prng.below(4); n >= 0; n--) {
          this.#publish(sender, `cmnd/${device.clientId}/POWER`, qos, false);
        }
      });
    }
  }

  /**
   * Retained states written and deleted by two clients on any nodes, read on every node: now and then, and at that
   * moment.
   */
  retainedStates(): void {
    const readers = Array.from({ length: this.#options.nodes }, (_, i) => {
      const reader = new RetainedReader(this.#host, `reader-${i}`, `node:${i}`, MQTT_JS);
      this.#adopt(reader.client);
      this.#beat(() => reader.read(this.#pick(STATES)));
      return reader;
    });
    for (const [i, profile] of [MQTT_JS, PERSISTENT_V5].entries()) {
      const writer = this.#client(`writer-${i}`, profile);
      this.#publish(writer, MARK_TOPIC, 1, true);
      this.#beat(() => {
        const topic = this.#pick(STATES);
        const qos = this.#prng.below(4) === 0 ? 0 : 1;
        this.#publish(writer, topic, qos, true, this.#prng.below(5) === 0);
        this.#pick(readers).read(topic);
        if (this.#prng.below(40) === 0) writer.moveTo(this.#target());
        if (this.#prng.below(20) === 0) this.#publish(writer, MARK_TOPIC, 1, true);
      });
    }
  }

  /** Jobs for a group whose members are on different nodes. */
  sharedWorkers(): void {
    for (let i = 0; i < 3; i++) {
      const worker = this.#client(`worker-${i}`, MQTT_JS);
      worker.subscribe("$share/workers/jobs/#", 1);
    }
    const boss = this.#client("boss", MQTT_JS);
    this.#beat(() => this.#publish(boss, "jobs/paint", this.#prng.below(2) as QoS, false));
  }

  /** Somebody subscribes, and the moment the SUBACK is there somebody else publishes on another node (P4). */
  newcomers(): void {
    const { nodes } = this.#options;
    const speakers = Array.from({ length: nodes }, (_, i) =>
      this.#clientOn(`speaker-${i}`, MQTT_JS, `node:${i}`),
    );
    let topics = 0;
    const listener = this.#client("listener", MQTT_JS, {
      subscribed: (filter) => {
        if (!this.#isResting) this.#publish(this.#pick(speakers), filter, 1, false);
      },
    });
    this.#beat(() => {
      if (topics > 0) listener.unsubscribe(`news/${topics}`);
      listener.subscribe(`news/${++topics}`, 1);
    });
  }

  /** Pictures in bursts of more than a socket takes, to an archive that stops reading just then. */
  slowReader(): void {
    const camera = this.#client("camera", PERSISTENT_V5);
    const archive = this.#client("archive", MQTT_JS);
    archive.subscribe("camera/#", 2);
    this.#beat(() => {
      // What it could not send is not kept: all of it at once is more than a broker keeps for a slow reader.
      if (this.#prng.below(15) > 0 || !camera.isConnected) return;
      archive.pauseReading(this.#prng.below(READING_PAUSE_MS_MAX));
      for (let n = 20 + this.#prng.below(30); n > 0; n--) {
        const qos = (1 + this.#prng.below(2)) as QoS;
        camera.publish("camera/door", this.#nextPayloadId(camera), qos, false, {
          paddingBytes: PICTURE_BYTES,
        });
      }
    });
  }

  #clientOn(clientId: string, profile: ClientProfile, target: ClientTarget): SimClient {
    return this.#adopt(this.#make(clientId, profile, target));
  }

  #client(clientId: string, profile: ClientProfile, events: SimClientEvents = {}): SimClient {
    return this.#adopt(this.#make(clientId, profile, this.#target(), events));
  }

  #make(
    clientId: string,
    profile: ClientProfile,
    target: ClientTarget,
    events: SimClientEvents = {},
  ): SimClient {
    const packetIds = this.#options.habitOf?.(clientId);
    return new SimClient(this.#host, { clientId, target, profile, packetIds }, events);
  }

  #adopt(client: SimClient): SimClient {
    this.#clients.push(client);
    this.#host.clock.after(this.#prng.below(2000), () => client.start());
    return client;
  }

  #publish(client: SimClient, topic: string, qos: QoS, retain: boolean, isDeletion = false): void {
    const payloadId = `${isDeletion ? "-" : ""}${this.#nextPayloadId(client)}`;
    const paddingBytes = this.#prng.below(8) === 0 ? this.#prng.below(2000) : 0;
    client.publish(topic, payloadId, qos, retain, { paddingBytes });
  }

  #nextPayloadId({ clientId }: SimClient): string {
    return `${clientId}:${++this.#messages}`;
  }

  /** Calls `step` again and again, at random times around the beat, until the household rests. */
  #beat(step: () => void): void {
    const { beatMs } = this.#options;
    const waitMs = beatMs / 2 + this.#prng.below(beatMs);
    this.#host.clock.after(waitMs, () => {
      if (this.#isResting) return;
      step();
      this.#beat(step);
    });
  }

  #target(): ClientTarget {
    const { nodes, hasFloatingAddress } = this.#options;
    const i = this.#prng.below(hasFloatingAddress ? nodes * 2 : nodes);
    return i < nodes ? `node:${i}` : "floating";
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#prng.below(items.length)] as T;
  }
}
