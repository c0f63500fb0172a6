/**
 * Three boxes of one mesh with a floating address on a network of namespaces, and beside them a client that finds the mesh by its name
 * (needs root).
 */

import { eventually } from "../containers/support/eventually.ts";
import { Boxes } from "./boxes.ts";
import { DnsClient, type HeardRecord } from "./dns-client.ts";
import { NetworkLab } from "./network-lab.ts";
import type { NodeProcess } from "./node-process.ts";

export const HOSTS = [11, 12, 13];
export const FLOATING = NetworkLab.address(250);
export const NAME = { name: "test.local", type: "A" } as const;
export const SERVICE = { name: "_mqtt._tcp.local", type: "PTR" } as const;
export const INSTANCE = { name: "test._mqtt._tcp.local", type: "SRV" } as const;

const CLIENT_HOST = 20;

export class NamedMesh {
  readonly client: DnsClient;
  readonly #boxes = new Boxes();
  #nodes: readonly NodeProcess[] = [];

  private constructor() {
    this.client = new DnsClient(this.#boxes.connectOther(CLIENT_HOST), NetworkLab.address(CLIENT_HOST));
  }

  /** All serve, and may have founded a mesh each yet. `withheld`: capabilities that they do not get. */
  static async start(withheld: readonly string[] = []): Promise<NamedMesh> {
    const mesh = new NamedMesh();
    try {
      mesh.#nodes = await Promise.all(HOSTS.map((host) => mesh.connect(host, withheld)));
      await mesh.client.ready();
      for (const node of mesh.nodes) node.launch();
      await Promise.all(mesh.nodes.map((node) => node.serving()));
      return mesh;
    } catch (error) {
      await mesh.remove();
      throw error;
    }
  }

  get nodes(): readonly NodeProcess[] {
    return this.#nodes;
  }

  /** A node for this mesh that is not started yet. */
  async connect(host: number, withheld: readonly string[]): Promise<NodeProcess> {
    const args = ["--vip", `${FLOATING}%eth0`];
    const peers = HOSTS.map((each) => `${NetworkLab.address(each)}:${Boxes.linkPort}`);
    const { node } = await this.#boxes.connect(host, { args, peers, withheld });
    return node;
  }

  /** The coordinator, as another node than `not` says. */
  async coordinator(not?: NodeProcess): Promise<NodeProcess> {
    const seen = await eventually("there is a coordinator", { withinMs: 30_000 }, async () => {
      for (const one of this.nodes) {
        if (one === not) continue;
        const { node, coordinator, quorum } = await one.status();
        if (quorum && node === coordinator) return one;
      }
      throw new Error("none yet");
    });
    return seen.value;
  }

  /** What the client is told of the mesh when it asks, and by whom. */
  async answers() {
    const records = await this.client.ask(NAME, SERVICE);
    const told = (type: string, name: string) =>
      new Set(records.filter((one) => one.type === type && one.name === name).map(({ data }) => data));
    return {
      by: new Set(records.filter(isAboutTheMesh).map(({ from }) => from)),
      addresses: told("A", NAME.name),
      instances: told("PTR", SERVICE.name),
      servers: told("SRV", INSTANCE.name),
    };
  }

  async remove(): Promise<void> {
    this.client.remove();
    await this.#boxes.remove();
  }
}

export function isAboutTheMesh({ name }: HeardRecord): boolean {
  return name === NAME.name || name === SERVICE.name || name === INSTANCE.name;
}
