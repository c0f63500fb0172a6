/** Boxes on a network of namespaces (network-lab.ts), a node on each, which find each other by mDNS or by address. */

import { execFileSync } from "node:child_process";
import { launcherIn, NetworkLab } from "./network-lab.ts";
import { makeNode, type NodeProcess, type NodeSettings, newMeshKey } from "./node-process.ts";

const PORTS = { mqtt: 1883, link: 7883, http: 7880 };
const MDNS = ["-p", "udp", "--dport", "5353", "-j", "DROP"];

export interface Box {
  readonly namespace: string;
  readonly node: NodeProcess;
}

export interface Pair {
  readonly boxes: Boxes;
  readonly first: Box;
  readonly second: Box;
}

export const isRoot = process.getuid?.() === 0;

export class Boxes {
  static readonly linkPort = PORTS.link;
  readonly #lab = new NetworkLab();
  readonly #all: Box[] = [];
  readonly #meshKey = newMeshKey();

  constructor() {
    this.#lab.join(1);
  }

  /** Two of them, at hosts 11 and 12; the second is told `peers`. Undefined without the rights that a network takes. */
  static async pair(peers: readonly string[] = []): Promise<Pair | undefined> {
    if (!isRoot) return undefined;
    const boxes = new Boxes();
    return { boxes, first: await boxes.connect(11), second: await boxes.connect(12, peers) };
  }

  /** A box at `NetworkLab.address(host)`, whose node is not started yet. It is told `peers` and the mesh key. */
  connect(host: number, peers: readonly string[] = []): Promise<Box> {
    return this.#connect(host, { peers, meshKey: this.#meshKey });
  }

  /** A box whose node is told nothing but an invitation's `code`. */
  connectStranger(host: number, code: string): Promise<Box> {
    return this.#connect(host, { meshKey: undefined, args: ["--join", code] });
  }

  async #connect(
    host: number,
    { args = [], ...settings }: Pick<NodeSettings, "meshKey" | "args"> & Partial<NodeSettings>,
  ): Promise<Box> {
    const namespace = this.#lab.connect(host);
    const node = await makeNode({
      name: `pi${host}`,
      ports: PORTS,
      host: NetworkLab.address(host),
      launcher: launcherIn(namespace),
      isMdnsEnabled: true,
      ...settings,
      // Its address may change under it.
      args: ["--allow-anonymous", "--link", `0.0.0.0:${PORTS.link}`, ...args],
    });
    const box = { namespace, node };
    this.#all.push(box);
    return box;
  }

  async remove(): Promise<void> {
    await Promise.all(this.#all.map(({ node }) => node.remove()));
    this.#lab.remove();
  }
}

export function runIn(namespace: string, ...command: readonly string[]): void {
  const [program = "", ...args] = [...launcherIn(namespace), ...command];
  execFileSync(program, args);
}

/** Undoes {@link dropMulticast}. */
export function allowMulticast(namespace: string): void {
  for (const chain of ["INPUT", "OUTPUT"]) runIn(namespace, "iptables", "-D", chain, ...MDNS);
}

/** From now on no packet of mDNS comes in or goes out. */
export function dropMulticast(namespace: string): void {
  for (const chain of ["INPUT", "OUTPUT"]) runIn(namespace, "iptables", "-A", chain, ...MDNS);
}
