/**
 * One Skein node in a container: start, kill, freeze, and ask it what it believes and what its kernel holds.
 *
 * Killing goes through the engine's API instead of testcontainers' `restart`, because a power cut is not a restart:
 * SIGKILL, nothing flushed, no goodbye. After a start the engine may give the container another address, so the
 * address is read again each time.
 */

import { type ContainerRuntimeClient, GenericContainer, PullPolicy, Wait } from "testcontainers";
import { type Bridge, OWNED } from "./bridge.ts";

/** GET /api/status, as far as the tests look at it. */
export interface NodeStatus {
  readonly cluster: string | null;
  readonly node: string;
  readonly coordinator: string | null;
  readonly term: number;
  readonly quorum: boolean;
  readonly health: "healthy" | "degraded" | "down";
  readonly reasons: readonly string[];
  readonly vip: { readonly address: string | null; readonly holder: string | null };
  readonly members: readonly {
    readonly id: string;
    readonly state: "alive" | "suspect" | "dead" | "left";
    readonly role: "leader" | "voter" | "learner";
  }[];
  readonly retained: number;
}

/** What a node says before it dies at once is kept for the error, up to this many characters. */
const START_LOG_MAX = 4096;

/** A container with a node in it. */
export class NodeContainer {
  readonly name: string;
  readonly #engine: ContainerRuntimeClient;
  readonly #id: string;
  readonly #network: string;
  #address: string;

  private constructor(
    engine: ContainerRuntimeClient,
    name: string,
    id: string,
    network: string,
    address: string,
  ) {
    this.#engine = engine;
    this.name = name;
    this.#id = id;
    this.#network = network;
    this.#address = address;
  }

  /** Starts a node that is told the mesh key and the floating address, and nothing about the others. */
  static async start(
    engine: ContainerRuntimeClient,
    options: {
      readonly name: string;
      readonly image: string;
      readonly bridge: Bridge;
      readonly meshKey: string;
    },
  ): Promise<NodeContainer> {
    let log = "";
    const container = new GenericContainer(options.image)
      .withPullPolicy(PullPolicy.neverPull())
      .withAutoCleanup(false)
      .withLabels({ ...OWNED })
      .withNetworkMode(options.bridge.name)
      .withHostname(options.name)
      .withDroppedCapabilities("ALL")
      .withAddedCapabilities("NET_ADMIN", "NET_RAW")
      .withEnvironment({
        SKEIN_MESH_KEY: options.meshKey,
        SKEIN_VIP: `${options.bridge.vip}%eth0`,
        SKEIN_ALLOW_ANONYMOUS: "true",
      })
      // The tests measure how long a node takes; the container alone is enough here.
      .withWaitStrategy(Wait.forSuccessfulCommand("true"))
      .withLogConsumer((stream) => {
        stream.on("data", (chunk: Buffer) => {
          if (log.length < START_LOG_MAX) log += chunk.toString("utf8");
        });
      });
    const started = await container.start().catch((error: unknown) => {
      throw new Error(`${String(error)}\n${options.name} said:\n${log}`, { cause: error });
    });
    const address = started.getIpAddress(options.bridge.name);
    return new NodeContainer(engine, options.name, started.getId(), options.bridge.name, address);
  }

  /** IPv4 address on the bridge, reachable from the Docker host. */
  get address(): string {
    return this.#address;
  }

  /** @throws {Error} if the node does not answer within a second. */
  async status(): Promise<NodeStatus> {
    return (await this.#get("/api/status")) as NodeStatus;
  }

  /** Count and digest of the retained store; equal digests mean byte-identical sets. */
  async retained(): Promise<{ readonly count: number; readonly digest: string }> {
    return (await this.#get("/api/retained")) as { count: number; digest: string };
  }

  /** Whether the kernel of this container holds `address` now, whatever the node believes. */
  async holds(address: string): Promise<boolean> {
    const result = await this.#engine.container.exec(this.#container(), [
      "ip",
      "-4",
      "-o",
      "addr",
      "show",
      "dev",
      "eth0",
    ]);
    return result.output.includes(`${address}/32`);
  }

  /** Docker's verdict from the image's HEALTHCHECK. */
  async dockerHealth(): Promise<string> {
    return (await this.#container().inspect()).State.Health?.Status ?? "none";
  }

  /** Power cut. */
  async kill(): Promise<void> {
    await this.#container().kill({ signal: "SIGKILL" });
  }

  /** Power back, on the same disk. */
  async startAgain(): Promise<void> {
    await this.#container().start();
    const { Networks } = (await this.#container().inspect()).NetworkSettings;
    this.#address = Networks[this.#network]?.IPAddress ?? "";
  }

  /** Freezes every process in the container; its kernel goes on. */
  async pause(): Promise<void> {
    await this.#container().pause();
  }

  async unpause(): Promise<void> {
    await this.#container().unpause();
  }

  /** Starts or thaws the container if a failed test left it otherwise. */
  async repair(): Promise<void> {
    const { State } = await this.#container().inspect();
    if (State.Paused) await this.unpause();
    if (!State.Running) await this.startAgain();
  }

  /** The node's last log lines, for failed tests. */
  async logTail(lines = 40): Promise<string> {
    const log = await this.#container().logs({ stdout: true, stderr: true, tail: lines });
    return demultiplexed(log);
  }

  async remove(): Promise<void> {
    await this.#container().remove({ force: true, v: true });
  }

  #container(): ReturnType<ContainerRuntimeClient["container"]["getById"]> {
    return this.#engine.container.getById(this.#id);
  }

  async #get(path: string): Promise<unknown> {
    const url = `http://${this.#address}:7880${path}`;
    const response = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch((error: unknown) => {
      // fetch hides what happened, such as ECONNREFUSED, in the cause.
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      throw new Error(`${this.name} does not answer ${path}: ${String(cause)}`, { cause: error });
    });
    if (!response.ok) throw new Error(`${this.name} answers ${response.status} to ${path}`);
    return response.json();
  }
}

/** The engine sends standard output and error as chunks with an 8-byte header: stream, 3 zeros, length. */
function demultiplexed(chunks: Buffer): string {
  let text = "";
  for (let at = 0; at + 8 <= chunks.length; ) {
    const end = at + 8 + chunks.readUInt32BE(at + 4);
    text += chunks.toString("utf8", at + 8, end);
    at = end;
  }
  return text;
}
