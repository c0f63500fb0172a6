/**
 * A network of namespaces with real nodes and clients on it: one switch, one cable per machine, and a floating address.
 *
 * What no simulation shows: the kernel's lifetimes, ARP tables, TCP resets. Needs root. Names carry the process id, so that
 * several labs fit on one machine; `remove` takes everything away again.
 */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { eventually } from "../containers/support/eventually.ts";
import { cleanEnvironment, newMeshKey, PROGRAM } from "./node-process.ts";

const CLIENTS = fileURLToPath(new URL("address-clients.ts", import.meta.url));
const DISK_BYTES = 64 * 1024 * 1024;

export interface LabOptions {
  readonly nodes: number;
  readonly timing: "lan" | "wired";
  /** Of the floating address; IPv4 unless given. Nodes reach each other by IPv4 all the same. */
  readonly family?: "IPv4" | "IPv6";
  /** Each node's data is on a disk of its own, which can be frozen. */
  readonly hasDisks?: boolean;
}

interface ClientEvent {
  readonly what: "answer" | "connected" | "closed";
  readonly at: number;
  readonly client?: number;
}

/** A machine that is no node. */
export interface Stranger {
  readonly namespace: string;
  readonly mac: string;
}

/** After a fault. */
export interface Recovery {
  /** From the fault until the address answers for good, in ms. */
  readonly addressMs: number;
  /** The same until the last of the idle clients is back. */
  readonly clientsMs: number;
}

const ADDRESSES = { IPv4: "10.77.0.250", IPv6: "fd00:77::250" } as const;

export class LabNode {
  readonly at: number;
  readonly namespace: string;
  /** The end of its cable at the switch. */
  readonly port: string;
  readonly data: string;
  readonly log: { readonly msg: string; readonly time: string }[] = [];
  process: ChildProcess | undefined;

  constructor(at: number, namespace: string, port: string, data: string) {
    this.at = at;
    this.namespace = namespace;
    this.port = port;
    this.data = data;
  }

  /** It says that it holds the address. */
  get isHolder(): boolean {
    const last = this.log.findLast(({ msg }) => /^(took|gave up) the floating address$/.test(msg));
    return last?.msg.startsWith("took") === true;
  }

  /** When it took the address last (ms since 1970). */
  get tookAt(): number {
    return Date.parse(this.log.findLast(({ msg }) => msg === "took the floating address")?.time ?? "");
  }
}

export class AddressLab {
  readonly nodes: LabNode[] = [];
  /** The floating address. */
  readonly address: string;
  readonly #options: LabOptions;
  readonly #tag = `sk${process.pid % 100_000}`;
  readonly #switch: string;
  readonly #folder = mkdtempSync(join(tmpdir(), "skein-lab-"));
  readonly #key = newMeshKey();
  readonly #events: ClientEvent[] = [];
  readonly #children = new Set<ChildProcess>();
  readonly #mounts: string[] = [];
  readonly #namespaces: string[] = [];

  constructor(options: LabOptions) {
    this.#options = options;
    this.address = ADDRESSES[options.family ?? "IPv4"];
    this.#switch = `${this.#tag}sw`;
  }

  /** Plugs everything in; nothing runs. */
  build(): void {
    this.#addNamespace(this.#switch);
    run("ip", "-n", this.#switch, "link", "add", "br0", "type", "bridge", "forward_delay", "0");
    run("ip", "-n", this.#switch, "link", "set", "br0", "up");
    for (let at = 1; at <= this.#options.nodes; at++) this.nodes.push(this.#makeNode(at));
  }

  /** Everything runs, one node holds the address and `idle` clients are connected to it. */
  async start(idle: number): Promise<void> {
    this.build();
    const clients = this.#plug("cl", 100);
    for (const node of this.nodes) this.startNode(node);
    await this.#until("a node holds the address", () => this.nodes.some((node) => node.isHolder), 60_000);
    this.#spawn(clients, [process.execPath, CLIENTS, this.address, String(idle)], (line) =>
      this.#events.push(line as unknown as ClientEvent),
    );
    await this.#until("the clients are connected", () => this.#connectedSince(0).size === idle, 20_000);
    // All nodes know by then who is connected.
    await pass(3000);
  }

  /** The node that says it holds the address; waits until there is exactly one. */
  async holder(): Promise<LabNode> {
    await this.#until("one holder", () => this.nodes.filter((node) => node.isHolder).length === 1, 30_000);
    return this.nodes.find((node) => node.isHolder) as LabNode;
  }

  /** Plugs in a machine that is no node; {@link setOn} gives it the floating address. */
  addStranger(): Stranger {
    const namespace = this.#plug("st", 101);
    const mac = run("ip", "netns", "exec", namespace, "cat", "/sys/class/net/eth0/address").trim();
    return { namespace, mac };
  }

  /** Sets the floating address on a stranger, which does not ask whether somebody has it, or takes it away. */
  setOn({ namespace }: Stranger, isSet: boolean): void {
    const isV6 = this.#options.family === "IPv6";
    const line = ["addr", isSet ? "add" : "del", `${this.address}/${isV6 ? 128 : 32}`, "dev", "eth0"];
    run("ip", "-n", namespace, ...line, ...(isV6 && isSet ? ["nodad"] : []));
  }

  /** Waits until `node` has logged a sentence that contains `part`. */
  async said(node: LabNode, part: string, withinMs: number): Promise<void> {
    const hasSaid = (): boolean => node.log.some(({ msg }) => msg.includes(part));
    await this.#until(`n${node.at} says: ${part}`, hasSaid, withinMs);
  }

  startNode(node: LabNode): void {
    const { timing, nodes } = this.#options;
    const peers = Array.from({ length: nodes }, (_, at) => at + 1).filter((at) => at !== node.at);
    const command = [process.execPath, PROGRAM, "up", "--name", `n${node.at}`, "--data-dir", node.data];
    command.push("--mesh", "lab", "--mesh-key", this.#key, "--no-mdns", "--timing", timing);
    const anywhere = this.#options.family === "IPv6" ? "[::]" : "0.0.0.0";
    command.push("--listen", `mqtt://${anywhere}:1883`, "--allow-anonymous");
    command.push("--vip", `${this.address}%eth0`);
    command.push(...peers.flatMap((at) => ["--peer", `10.77.0.${at}:7883`]));
    node.log.length = 0;
    node.process = this.#spawn(node.namespace, command, (line) => node.log.push(line as never));
  }

  /** Pulls the node's cable, or plugs it in again. */
  cable(node: LabNode, isPlugged: boolean): void {
    run("ip", "-n", this.#switch, "link", "set", node.port, isPlugged ? "up" : "down");
  }

  /** Signals the node's process. */
  signal(node: LabNode, signal: NodeJS.Signals): void {
    node.process?.kill(signal);
  }

  /** Nothing that the node writes gets onto its disk, or it does again. */
  freeze(node: LabNode, isFrozen: boolean): void {
    run("fsfreeze", isFrozen ? "-f" : "-u", this.#diskOf(node.at));
  }

  /** Keeps the event loop of the node busy, through its inspector. Resolves to when that began (ms since 1970). */
  async block(node: LabNode, forMs: number): Promise<number> {
    node.process?.kill("SIGUSR1");
    const script = `
      const list = await (await fetch("http://127.0.0.1:9229/json")).json();
      const socket = new WebSocket(list[0].webSocketDebuggerUrl);
      await new Promise((resolve) => { socket.onopen = resolve; });
      const expression = "{ const until = performance.now() + ${forMs}; while (performance.now() < until); }";
      console.log(Date.now());
      socket.send(JSON.stringify({ id: 1, method: "Runtime.evaluate", params: { expression } }));
      setTimeout(() => process.exit(), 200);`;
    const seen = await eventually("the inspector answers", { withinMs: 10_000 }, () => {
      const command = ["--input-type=module", "-e", script];
      return Promise.resolve(run("ip", "netns", "exec", node.namespace, process.execPath, ...command));
    });
    return Number(seen.value);
  }

  /**
   * Does `fault`, which may tell when it began, and waits until the address answers again and all idle clients are back.
   */
  async recovery(fault: () => unknown, withinMs = 30_000): Promise<Recovery> {
    const before = this.#connectedSince(0).size;
    const now = Date.now();
    const began = await fault();
    const faultAt = typeof began === "number" ? began : now;
    let addressMs = 0;
    await this.#until("all clients are back", () => this.#backSince(faultAt).size === before, withinMs);
    const back = this.#backSince(faultAt);
    const clientsMs = Math.max(...[...back.values()]) - faultAt;
    // The longest silence since the fault is the outage; whoever answered before it was the past holder.
    await pass(1000);
    const answers = this.#events
      .filter(({ what, at }) => what === "answer" && at >= faultAt)
      .map(({ at }) => at);
    let longest = 0;
    for (const [index, at] of answers.entries()) {
      const gap = at - (answers[index - 1] ?? faultAt);
      if (gap > longest) {
        longest = gap;
        addressMs = at - faultAt;
      }
    }
    return { addressMs, clientsMs };
  }

  remove(): void {
    for (const child of this.#children) {
      child.kill("SIGCONT");
      child.kill("SIGKILL");
    }
    for (const mount of this.#mounts) {
      attempt("fsfreeze", "-u", mount);
      attempt("umount", "-l", mount);
    }
    for (const namespace of this.#namespaces) attempt("ip", "netns", "del", namespace);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Idle clients that were lost and are connected again, with the time of that. */
  #backSince(at: number): ReadonlyMap<number, number> {
    const back = new Map<number, number>();
    const lost = new Set<number>();
    for (const { what, at: when, client } of this.#events) {
      if (client === undefined || when < at) continue;
      if (what === "closed") lost.add(client);
      else if (what === "connected" && lost.has(client)) back.set(client, when);
    }
    return back;
  }

  #connectedSince(at: number): ReadonlySet<number> {
    const connected = new Set<number>();
    for (const { what, at: when, client } of this.#events) {
      if (client === undefined || when < at) continue;
      if (what === "connected") connected.add(client);
      else if (what === "closed") connected.delete(client);
    }
    return connected;
  }

  #makeNode(at: number): LabNode {
    const namespace = this.#plug(`n${at}`, at);
    const data =
      this.#options.hasDisks === true ? join(this.#mountDisk(at), "data") : join(this.#folder, `n${at}`);
    mkdirSync(data, { recursive: true });
    return new LabNode(at, namespace, `${this.#tag}p${at}`, data);
  }

  #diskOf(at: number): string {
    return join(this.#folder, `disk${at}`);
  }

  #mountDisk(at: number): string {
    const image = join(this.#folder, `disk${at}.img`);
    writeFileSync(image, "");
    truncateSync(image, DISK_BYTES);
    run("mkfs.ext4", "-q", "-F", image);
    mkdirSync(this.#diskOf(at));
    run("mount", "-o", "loop", image, this.#diskOf(at));
    this.#mounts.push(this.#diskOf(at));
    return this.#diskOf(at);
  }

  /** A machine with a cable to the switch. */
  #plug(name: string, at: number): string {
    const namespace = `${this.#tag}${name}`;
    const port = `${this.#tag}p${at}`;
    this.#addNamespace(namespace);
    run(
      "ip",
      "link",
      "add",
      port,
      "netns",
      this.#switch,
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      namespace,
    );
    run("ip", "-n", this.#switch, "link", "set", port, "master", "br0", "up");
    run("ip", "-n", namespace, "addr", "add", `10.77.0.${at}/24`, "dev", "eth0");
    // Without asking whether somebody has it, which takes a second or two.
    run("ip", "-n", namespace, "addr", "add", `fd00:77::${at}/64`, "dev", "eth0", "nodad");
    run("ip", "-n", namespace, "link", "set", "eth0", "up");
    return namespace;
  }

  #addNamespace(name: string): void {
    run("ip", "netns", "add", name);
    this.#namespaces.push(name);
    run("ip", "-n", name, "link", "set", "lo", "up");
  }

  #spawn(
    namespace: string,
    command: readonly string[],
    line: (parsed: Record<string, unknown>) => void,
  ): ChildProcess {
    const child = spawn("ip", ["netns", "exec", namespace, ...command], {
      stdio: ["ignore", "pipe", "ignore"],
      env: cleanEnvironment(),
    });
    this.#children.add(child);
    let rest = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const one of lines) line(JSON.parse(one) as Record<string, unknown>);
    });
    return child;
  }

  #until(what: string, condition: () => boolean, withinMs: number): Promise<unknown> {
    return eventually(what, { withinMs }, () => {
      if (!condition())
        throw new Error(
          this.nodes.map(({ at, log }) => `n${at}: ${JSON.stringify(log.slice(-4))}`).join("\n"),
        );
      return Promise.resolve();
    });
  }
}

function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, [...args], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

function attempt(command: string, ...args: readonly string[]): void {
  try {
    run(command, ...args);
  } catch {
    // It was not there, or is gone already.
  }
}

/** Time that has to pass because the fault lasts that long; nothing is waited for. */
function pass(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
