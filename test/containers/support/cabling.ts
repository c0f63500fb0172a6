/**
 * The cables and switches between containers: pulling a cable, cutting the network in parts, and rooms for clients.
 *
 * A bridge network of the engine is a switch, and each container's veth pair a cable with one end in it. A split plugs
 * the cables of a part into a second bridge: then neither IP nor ARP nor multicast crosses, as when the cable between two
 * switches is cut. A room is a network namespace with a cable of its own, so clients can be in any part.
 */

import { readdirSync, readFileSync } from "node:fs";
import type { Bridge } from "./bridge.ts";
import { command } from "./command.ts";
import type { NodeContainer } from "./node-container.ts";

/** A network namespace with one cable. */
export interface Room {
  readonly name: string;
  readonly address: string;
  /** End of its cable in the switch. */
  readonly port: string;
}

let created = 0;

export class Cabling {
  readonly #bridge: Bridge;
  readonly #rooms: Room[] = [];
  readonly #switches: string[] = [];

  constructor(bridge: Bridge) {
    this.#bridge = bridge;
  }

  /** Adds a room on the main switch. */
  async room(): Promise<Room> {
    const number = ++created;
    const id = `${process.pid % 100_000}-${number}`;
    const room = {
      name: `sk-${id}`,
      address: `${this.#bridge.prefix}.${209 + (number % 40)}`,
      port: `skp${id}`,
    };
    await command("ip", "netns", "add", room.name);
    this.#rooms.push(room);
    await command("ip", "link", "add", room.port, "type", "veth", "peer", "name", "eth0", "netns", room.name);
    await command("ip", "link", "set", room.port, "master", this.#bridge.device, "up");
    const inside = (...args: string[]): Promise<string> => command("ip", "-n", room.name, ...args);
    await inside("addr", "add", `${room.address}/24`, "dev", "eth0");
    await inside("link", "set", "eth0", "up");
    await inside("link", "set", "lo", "up");
    return room;
  }

  /** Cuts the network: each of `parts` but the first moves to a switch of its own. The first keeps the host. */
  async split(parts: readonly (readonly (NodeContainer | Room)[])[]): Promise<void> {
    for (const [at, part] of parts.entries()) {
      const bridge = at === 0 ? this.#bridge.device : await this.#switch(at - 1);
      await Promise.all(part.map((end) => command("ip", "link", "set", portOf(end), "master", bridge)));
    }
  }

  /** Plugs everything into the main switch again. */
  async heal(nodes: readonly NodeContainer[]): Promise<void> {
    const ends = [...nodes.filter(({ pid, isPluggedIn }) => pid > 0 && isPluggedIn), ...this.#rooms];
    await this.split([ends]);
  }

  async remove(): Promise<void> {
    for (const { name } of this.#rooms.splice(0)) await command("ip", "netns", "del", name);
    for (const name of this.#switches.splice(0)) {
      for (const rule of rulesOf(name)) await command("iptables", ...rule("-D"));
      await command("ip", "link", "del", name);
    }
  }

  async #switch(at: number): Promise<string> {
    const present = this.#switches[at];
    if (present !== undefined) return present;
    const name = `skb${process.pid % 100_000}-${++created}`;
    await command("ip", "link", "add", name, "type", "bridge");
    this.#switches.push(name);
    await command("ip", "link", "set", name, "type", "bridge", "mcast_snooping", "0");
    await command("ip", "link", "set", name, "up");
    for (const rule of rulesOf(name)) await command("iptables", ...rule("-I"));
    return name;
  }
}

/**
 * On bridges that it does not know the engine drops what is forwarded, and gives what comes from its containers another
 * sender, as if it went out to the world: new connections would come to nothing.
 */
function rulesOf(bridge: string): readonly ((action: string) => readonly string[])[] {
  return [
    (action) => [action, "DOCKER-USER", "-i", bridge, "-o", bridge, "-j", "ACCEPT"],
    (action) => ["-t", "nat", action, "POSTROUTING", "-o", bridge, "-j", "ACCEPT"],
  ];
}

/** The host's end of an end's cable. */
function portOf(end: NodeContainer | Room): string {
  if ("port" in end) return end.port;
  const peer = readFileSync(`/proc/${end.pid}/root/sys/class/net/eth0/iflink`, "utf8").trim();
  const port = readdirSync("/sys/class/net").find(
    (name) => readFileSync(`/sys/class/net/${name}/ifindex`, "utf8").trim() === peer,
  );
  if (port === undefined) throw new Error(`${end.name} is not plugged in`);
  return port;
}
