/**
 * What a broker tells under `$SYS/broker/`, with mosquitto's names, because exporters and MQTT explorers read those.
 *
 * A pure function of what the broker counts. Names of mosquitto that are not here have nothing behind them in this broker: there are no
 * bridges (`connection/...`), the log is not published (`log/...`), and what waits for a socket is bytes, not packets (`packet/out/count`).
 *
 * Source: mosquitto(8), "Broker status".
 */

import type { Counters } from "../counters.ts";
import { LOAD_MINUTES, LoadAverages } from "./load-averages.ts";

/** Takes one value. `name` is what follows `$SYS/`. */
export type VisitValue = (name: string, value: string | number) => void;

/** What the broker is at one moment. */
export interface BrokerFigures {
  readonly counters: Readonly<Counters>;
  readonly version: string;
  /** When this build of the program was made; undefined: not known. */
  readonly builtAt: string | undefined;
  readonly uptimeMs: number;
  /** Connections, with or without a session. */
  readonly connections: ReadonlySet<{ readonly waitingBytes: number }>;
  /** Connected clients. */
  readonly clients: number;
  /** Most of them at a time. */
  readonly clientsMax: number;
  /** Sessions, connected or not. */
  readonly sessions: number;
  /** Topic Filters of all sessions. */
  readonly subscriptions: number;
  readonly sharedSubscriptions: number;
  /** Retained messages of the mesh. */
  readonly retained: number;
  /** Messages that wait in sessions. */
  readonly queued: number;
  /** What these two take. */
  readonly storedBytes: number;
  /** Of the process; 0: not known. */
  readonly memoryBytes: number;
}

/** What has a moving average, by its name below `load/`. */
const LOADS: readonly (readonly [name: string, total: (counters: Readonly<Counters>) => number])[] = [
  ["messages/received", (counters) => counters.packetsReceived],
  ["messages/sent", (counters) => counters.packetsSent],
  ["publish/received", (counters) => counters.publishesReceived],
  ["publish/sent", (counters) => counters.publishesSent],
  ["publish/dropped", droppedIn],
  ["bytes/received", (counters) => counters.bytesReceived],
  ["bytes/sent", (counters) => counters.bytesSent],
  ["sockets", (counters) => counters.connectionsAccepted],
  ["connections", (counters) => counters.clientsConnected],
];

export class BrokerTopics {
  readonly #loads = LOADS.map(([name, total]) => ({ name, total, averages: new LoadAverages() }));
  #memoryMax = 0;

  /** Brings the averages up to date. `elapsedMs`: since it was done before. */
  sample(counters: Readonly<Counters>, memoryBytes: number, elapsedMs: number): void {
    for (const { total, averages } of this.#loads) averages.sample(total(counters), elapsedMs);
    this.#memoryMax = Math.max(this.#memoryMax, memoryBytes);
  }

  visit(figures: BrokerFigures, visit: VisitValue): void {
    const { counters, sessions, clients, memoryBytes } = figures;
    const tell: VisitValue = (name, value) => visit(`broker/${name}`, value);
    tell("version", `skein version ${figures.version}`);
    if (figures.builtAt !== undefined) tell("timestamp", figures.builtAt);
    tell("uptime", `${Math.floor(figures.uptimeMs / 1000)} seconds`);
    tell("clients/total", sessions);
    tell("clients/connected", clients);
    tell("clients/disconnected", sessions - clients);
    tell("clients/maximum", figures.clientsMax);
    tell("clients/expired", counters.sessionsExpired);
    // Deprecated in mosquitto, and still read by exporters.
    tell("clients/active", clients);
    tell("clients/inactive", sessions - clients);
    tell("connections/socket/count", figures.connections.size);
    tell("subscriptions/count", figures.subscriptions);
    tell("shared_subscriptions/count", figures.sharedSubscriptions);
    tell("retained messages/count", figures.retained);
    tell("messages/stored", figures.retained + figures.queued);
    tell("store/messages/count", figures.retained + figures.queued);
    tell("store/messages/bytes", figures.storedBytes);
    tell("messages/received", counters.packetsReceived);
    tell("messages/sent", counters.packetsSent);
    tell("bytes/received", counters.bytesReceived);
    tell("bytes/sent", counters.bytesSent);
    tell("publish/messages/received", counters.publishesReceived);
    tell("publish/messages/sent", counters.publishesSent);
    tell("publish/messages/dropped", droppedIn(counters));
    tell("publish/bytes/received", counters.publishBytesReceived);
    tell("publish/bytes/sent", counters.publishBytesSent);
    let waitingBytes = 0;
    for (const connection of figures.connections) waitingBytes += connection.waitingBytes;
    tell("packet/out/bytes", waitingBytes);
    if (memoryBytes > 0) {
      tell("heap/current", memoryBytes);
      tell("heap/maximum", Math.max(this.#memoryMax, memoryBytes));
    }
    for (const { name, averages } of this.#loads) {
      for (const [at, minutes] of LOAD_MINUTES.entries())
        tell(`load/${name}/${minutes}min`, (averages.perMinute[at] as number).toFixed(2));
    }
  }
}

function droppedIn(counters: Readonly<Counters>): number {
  const { slowReaderDropped, queueFullDropped, tooLargeDropped, expiredDropped } = counters;
  return slowReaderDropped + queueFullDropped + tooLargeDropped + expiredDropped;
}
