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

export interface BoxSettings {
  /** Link addresses that its node is told. Default: none. */
  readonly peers?: readonly string[];
  readonly args?: readonly string[];
  /** Capabilities that its node does not get, as `net_raw`. Default: it gets all. */
  readonly withheld?: readonly string[];
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
    return { boxes, first: await boxes.connect(11), second: await boxes.connect(12, { peers }) };
  }

  /** A box at `NetworkLab.address(host)`, whose node is not started yet. It is told the mesh key. */
  connect(host: number, settings: BoxSettings = {}): Promise<Box> {
    return this.#connect(host, { ...settings, meshKey: this.#meshKey });
  }

  /** A machine at `NetworkLab.address(host)` that is no node. Returns its namespace. */
  connectOther(host: number): string {
    return this.#lab.connect(host);
  }

  /** A box whose node is told nothing but an invitation's `code`. */
  connectStranger(host: number, code: string): Promise<Box> {
    return this.#connect(host, { meshKey: undefined, args: ["--join", code] });
  }

  async #connect(
    host: number,
    { args = [], peers = [], withheld = [], meshKey }: BoxSettings & Pick<NodeSettings, "meshKey">,
  ): Promise<Box> {
    const namespace = this.#lab.connect(host);
    const node = await makeNode({
      name: `pi${host}`,
      ports: PORTS,
      host: NetworkLab.address(host),
      launcher: [...launcherIn(namespace), ...without(withheld)],
      isMdnsEnabled: true,
      meshKey,
      peers,
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

/** Runs what follows without these capabilities. Root gets all that its bounding set has. */
function without(capabilities: readonly string[]): readonly string[] {
  if (capabilities.length === 0) return [];
  return ["setpriv", "--inh-caps=-all", `--bounding-set=${capabilities.map((one) => `-${one}`).join()}`];
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
