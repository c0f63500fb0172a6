/**
 * The clients of the simulation: who they are, and the processes they run in, one in each room.
 *
 * In each room there are subscribers on the address with keepalive 15, 30 and 60, one with a durable session, two on
 * nodes, publishers of each QoS on the address, one on a node, and one of retained messages.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Room } from "../../test/containers/support/cabling.ts";
import type { ContainerMesh } from "../../test/containers/support/mesh.ts";
import type { NodeContainer } from "../../test/containers/support/node-container.ts";
import type { ClientEvent, ClientPlan } from "./client-events.ts";

const PROGRAM = join(import.meta.dirname, "client-process.ts");

/** The clients of one room. `nodes`: those of its part of the house. */
function plansOf(
  number: number,
  room: string,
  vip: string,
  nodes: readonly NodeContainer[],
): readonly ClientPlan[] {
  const common = {
    room,
    keepalive: 30,
    isDurable: false,
    qos: 0,
    isRetained: false,
    node: undefined,
    host: vip,
  } as const;
  const on = (at: number): { node: string | undefined; host: string } => {
    const node = nodes[(number + at * 2) % nodes.length];
    return { node: node?.name, host: node?.address ?? vip };
  };
  const subscriber = { ...common, role: "subscriber" } as const;
  const publisher = { ...common, role: "publisher", version: 5 } as const;
  return [
    ...([15, 30, 60] as const).map((keepalive, at): ClientPlan => {
      return { ...subscriber, id: `sub${number}-k${keepalive}`, keepalive, version: at % 2 === 0 ? 4 : 5 };
    }),
    { ...subscriber, id: `sub${number}-durable`, version: 5, isDurable: true },
    { ...subscriber, id: `sub${number}-node4`, version: 4, ...on(0) },
    { ...subscriber, id: `sub${number}-node5`, version: 5, ...on(1) },
    ...([0, 1, 2] as const).map((qos): ClientPlan => ({ ...publisher, id: `pub${number}-q${qos}`, qos })),
    { ...publisher, id: `pub${number}-node`, qos: 1, ...on(2) },
    { ...publisher, id: `pub${number}-kept`, qos: 1, isRetained: true },
  ];
}

export class Household {
  readonly plans: readonly ClientPlan[];
  readonly events: ClientEvent[] = [];
  readonly #children: readonly ChildProcess[];

  /** Starts the clients. They run until {@link Household.stop}. */
  constructor(mesh: ContainerMesh, rooms: readonly Room[]) {
    const third = Math.ceil(mesh.nodes.length / rooms.length);
    const byRoom = rooms.map(({ name }, at) => {
      return plansOf(at + 1, name, mesh.vip, mesh.nodes.slice(at * third, (at + 1) * third));
    });
    this.plans = byRoom.flat();
    this.#children = rooms.map((room, at) => this.#spawn(room, byRoom[at] ?? []));
  }

  /** Publishers end. */
  quiet(): void {
    for (const { stdin } of this.#children) stdin?.write("quiet\n");
  }

  stop(): void {
    for (const { stdin } of this.#children) stdin?.end();
  }

  /** Clients that are connected now. */
  get connected(): number {
    const up = new Set<string>();
    for (const { c, e } of this.events) {
      if (e === "up") up.add(c);
      else if (e === "down") up.delete(c);
    }
    return up.size;
  }

  #spawn(room: Room, plans: readonly ClientPlan[]): ChildProcess {
    const args = ["netns", "exec", room.name, process.execPath, PROGRAM, JSON.stringify(plans)];
    const child = spawn("ip", args, { stdio: ["pipe", "pipe", "inherit"] });
    createInterface({ input: child.stdout }).on("line", (line) => {
      this.events.push(JSON.parse(line) as ClientEvent);
    });
    return child;
  }
}
