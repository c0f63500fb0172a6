/** A client's machine: it dials nodes or the floating address, and tells the world what it sees. */

import type { Clock, Prng, Stream, StreamHandler } from "@skein/kernel";
import type { ClientObservation, ClientTarget, SimClientHost } from "../observations.ts";
import { randomStream } from "./random-streams.ts";
import { MQTT_PORT } from "./sim-node.ts";
import { SimProcess } from "./sim-process.ts";
import type { World } from "./world.ts";

const CONNECT_TIMEOUT_MS = 10_000;

export class ClientHost implements SimClientHost {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly #world: World;
  readonly #machine: number;
  readonly #process: SimProcess;

  constructor(world: World, machine: number, name: string) {
    this.#world = world;
    this.#machine = machine;
    this.#process = new SimProcess(
      world.events,
      { rate: 1, bootedAt: 0, sleptMs: 0, wallOffsetMs: 0 },
      () => {},
    );
    this.clock = this.#process.clock;
    this.prng = randomStream(world.seed, `client ${name}`);
  }

  connect(target: ClientTarget, handler: StreamHandler & { connected(node: string): void }): Stream {
    const world = this.#world;
    const name =
      target === "floating" ? world.floating.address : (world.nodes[Number(target.slice(5))]?.host ?? "");
    const host = `10.0.1.${this.#machine}`;
    const stream = new PendingStream(`${name}:${MQTT_PORT}`, host);
    const to = world.locate(this.#machine, name);
    world.network.dial(
      [this.#process, this.#machine, host, `${name}:${MQTT_PORT}`],
      to,
      CONNECT_TIMEOUT_MS,
      (result) => {
        if (result instanceof Error) handler.closed(result);
        else stream.opened(result, handler, world.nodes[to ?? -1]?.id ?? "");
      },
    );
    return stream;
  }

  observe(observation: ClientObservation, node: string): void {
    this.#world.observe({ at: this.#world.events.now, ...observation, node });
  }
}

/** Keeps what is written before the connection is there. */
class PendingStream implements Stream {
  readonly remoteAddress: string;
  readonly localAddress: string;
  #stream: Stream | undefined;
  #written: Uint8Array[] = [];
  #isGivenUp = false;

  constructor(remoteAddress: string, localAddress: string) {
    this.remoteAddress = remoteAddress;
    this.localAddress = localAddress;
  }

  get bufferedBytes(): number {
    return this.#stream?.bufferedBytes ?? 0;
  }

  opened(stream: Stream, handler: StreamHandler & { connected(node: string): void }, node: string): void {
    this.#stream = stream;
    stream.start(handler);
    if (this.#isGivenUp) {
      stream.reset();
      return;
    }
    handler.connected(node);
    for (const bytes of this.#written.splice(0)) stream.write(bytes);
  }

  /** Its handler came with `connect`. */
  start(): void {}

  write(bytes: Uint8Array): boolean {
    if (this.#stream !== undefined) return this.#stream.write(bytes);
    this.#written.push(bytes);
    return true;
  }

  pause(): void {
    this.#stream?.pause();
  }

  resume(): void {
    this.#stream?.resume();
  }

  end(): void {
    if (this.#stream === undefined) this.#isGivenUp = true;
    else this.#stream.end();
  }

  reset(): void {
    if (this.#stream === undefined) this.#isGivenUp = true;
    else this.#stream.reset();
  }
}
