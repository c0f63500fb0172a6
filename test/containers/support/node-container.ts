/**
 * One Skein node in a container: start, kill, freeze, unplug, and ask it what it believes and what its kernel holds.
 *
 * All through the engine's API, because a power cut is not a restart: SIGKILL, nothing flushed, no goodbye. After a start
 * or a change of cable the engine may give another address and the process another number, so both are read again.
 */

import type { ContainerRuntimeClient } from "testcontainers";
import { type Bridge, OWNED } from "./bridge.ts";
import { command } from "./command.ts";
import { kernelHolds } from "./kernel-view.ts";

/** What docker gives a container to stop in, too. */
const STOP_MAX_MS = 10_000;

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
    readonly clients: number;
  }[];
  readonly retained: number;
}

/** How a node is started. */
export interface NodeSettings {
  readonly name: string;
  readonly image: string;
  readonly bridge: Bridge;
  readonly meshKey: string;
  /** SKEIN_ variables besides key, address and anonymous clients. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Docker asks the node for its health every 10 s, with a Node process of its own. Default true. */
  readonly hasHealthCheck?: boolean;
}

/** A container with a node in it. */
export class NodeContainer {
  readonly name: string;
  readonly #engine: ContainerRuntimeClient;
  readonly #id: string;
  readonly #bridge: Bridge;
  #address = "";
  #pid = 0;
  #isPluggedIn = true;
  #engineName = "eth0";

  private constructor(engine: ContainerRuntimeClient, name: string, id: string, bridge: Bridge) {
    this.#engine = engine;
    this.name = name;
    this.#id = id;
    this.#bridge = bridge;
  }

  /** Makes a container that is told the mesh key and the floating address, and nothing about the others. Not started. */
  static async create(engine: ContainerRuntimeClient, settings: NodeSettings): Promise<NodeContainer> {
    const { name, image, bridge, meshKey, environment = {}, hasHealthCheck = true } = settings;
    const variables = {
      SKEIN_MESH_KEY: meshKey,
      SKEIN_VIP: `${bridge.vip}%eth0`,
      SKEIN_ALLOW_ANONYMOUS: "true",
      ...environment,
    };
    const container = await engine.container.dockerode.createContainer({
      Image: image,
      Hostname: name,
      Labels: { ...OWNED },
      Env: Object.entries(variables).map(([key, value]) => `${key}=${value}`),
      HostConfig: {
        NetworkMode: bridge.name,
        CapDrop: ["ALL"],
        CapAdd: ["NET_ADMIN", "NET_RAW"],
        // A box is no router. A container is, by default: packets to a past holder of the address would find the new one.
        Sysctls: { "net.ipv4.ip_forward": "0" },
      },
      ...(hasHealthCheck ? {} : { Healthcheck: { Test: ["NONE"] } }),
    });
    return new NodeContainer(engine, name, container.id, bridge);
  }

  /** IPv4 address on the bridge, reachable from the Docker host. */
  get address(): string {
    return this.#address;
  }

  /** The node's process as the host sees it; 0 while it does not run. */
  get pid(): number {
    return this.#pid;
  }

  get isPluggedIn(): boolean {
    return this.#isPluggedIn;
  }

  /** @throws {Error} if the node does not answer within a second. */
  async status(): Promise<NodeStatus> {
    return (await this.ask("/api/status")) as NodeStatus;
  }

  /** Count and digest of the retained store; equal digests mean byte-identical sets. */
  async retained(): Promise<{ readonly count: number; readonly digest: string }> {
    return (await this.ask("/api/retained")) as { count: number; digest: string };
  }

  /** Whether the kernel of this container holds `address` now, whatever the node believes. */
  holds(address: string): boolean {
    return this.#pid > 0 && kernelHolds(this.#pid, address);
  }

  /** Docker's verdict from the image's HEALTHCHECK. */
  async dockerHealth(): Promise<string> {
    return (await this.#container().inspect()).State.Health?.Status ?? "none";
  }

  /** Power on, on the disk it had. */
  async start(): Promise<void> {
    await this.#container().start();
    this.#engineName = "eth0";
    await this.#look();
  }

  /** Power cut. */
  async kill(): Promise<void> {
    const container = this.#container();
    const gone = container.wait();
    await container.kill({ signal: "SIGKILL" });
    await gone;
    this.#pid = 0;
  }

  /** Orderly stop: SIGTERM at this very moment, not when the engine comes to it, and ten seconds for the rest. */
  async stop(): Promise<void> {
    const container = this.#container();
    const gone = container.wait();
    process.kill(this.#pid, "SIGTERM");
    const late = setTimeout(() => process.kill(this.#pid, "SIGKILL"), STOP_MAX_MS);
    await gone;
    clearTimeout(late);
    this.#pid = 0;
  }

  /** Freezes every process in the container; its kernel goes on. */
  async pause(): Promise<void> {
    await this.#container().pause();
  }

  async unpause(): Promise<void> {
    await this.#container().unpause();
  }

  /** Pulls the network cable: from one instant to the next nothing goes in or out, and nobody says goodbye. */
  async unplug(): Promise<void> {
    // The engine finds the interface by the name that it gave it, and says nothing if there is none.
    await this.#rename("eth0", this.#engineName);
    await this.#network().disconnect({ Container: this.#id, Force: true });
    this.#isPluggedIn = false;
  }

  /** Puts the cable back, with the address it had. */
  async plugIn(): Promise<void> {
    const EndpointConfig = { IPAMConfig: { IPv4Address: this.#address } };
    await this.#network().connect({ Container: this.#id, EndpointConfig });
    this.#isPluggedIn = true;
    await this.#look();
    await this.#nameInterface();
  }

  /** What the engine calls it. */
  async containerName(): Promise<string> {
    return (await this.#container().inspect()).Name.slice(1);
  }

  /** Runs a program in the container. @throws {Error} if it fails; carries what it said. */
  async run(...command: readonly string[]): Promise<string> {
    const { output, exitCode } = await this.#engine.container.exec(this.#container(), [...command]);
    if (exitCode !== 0) throw new Error(`${command.join(" ")} in ${this.name} failed: ${output}`);
    return output;
  }

  /** Starts, thaws or plugs in the container if a failed test left it otherwise. */
  async repair(): Promise<void> {
    const { State } = await this.#container().inspect();
    if (State.Paused) await this.unpause();
    if (!State.Running) await this.start();
    if (!this.#isPluggedIn) await this.plugIn();
  }

  /** The node's last log lines, for failed tests. */
  async logTail(lines = 40): Promise<string> {
    return this.log({ tail: lines });
  }

  /** What the node has logged. */
  async log(options: { readonly tail?: number } = {}): Promise<string> {
    const log = await this.#container().logs({ stdout: true, stderr: true, ...options });
    return demultiplexed(log as unknown as Buffer);
  }

  async remove(): Promise<void> {
    await this.#container().remove({ force: true, v: true });
    this.#pid = 0;
  }

  /** GET `path` of the node's admin API. @throws {Error} if it does not answer with 2xx within a second. */
  async ask(path: string): Promise<unknown> {
    if (this.#address === "") throw new Error(`${this.name} ended at once: ${await this.logTail(5)}`);
    const url = `http://${this.#address}:7880${path}`;
    const response = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch((error: unknown) => {
      // fetch hides what happened, such as ECONNREFUSED, in the cause.
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      throw new Error(`${this.name} does not answer ${path}: ${String(cause)}`, { cause: error });
    });
    if (!response.ok) throw new Error(`${this.name} answers ${response.status} to ${path}`);
    return response.json();
  }

  async #look(): Promise<void> {
    const { State, NetworkSettings } = await this.#container().inspect();
    this.#pid = State.Pid;
    this.#address = NetworkSettings.Networks[this.#bridge.name]?.IPAddress ?? this.#address;
  }

  /** The engine counts on: a cable that was out comes back as eth1, which happens on no real box. */
  async #nameInterface(): Promise<void> {
    const links = await command("nsenter", `--net=/proc/${this.#pid}/ns/net`, "ip", "-o", "link");
    this.#engineName = /eth\d+(?=@)/.exec(links)?.[0] ?? "eth0";
    await this.#rename(this.#engineName, "eth0");
  }

  async #rename(from: string, to: string): Promise<void> {
    if (from === to) return;
    const link = (...words: string[]): Promise<string> =>
      command("nsenter", `--net=/proc/${this.#pid}/ns/net`, "ip", "link", "set", ...words);
    await link(from, "down");
    await link(from, "name", to);
    if (to === "eth0") await link(to, "up");
  }

  #network() {
    return this.#engine.container.dockerode.getNetwork(this.#bridge.name);
  }

  #container(): ReturnType<ContainerRuntimeClient["container"]["getById"]> {
    return this.#engine.container.getById(this.#id);
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
