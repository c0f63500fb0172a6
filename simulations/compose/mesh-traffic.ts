/**
 * What each node sends to other nodes, told from what it says to its clients: everything on the links' port, and mDNS.
 *
 * The nodes' cables end in bridges of this host, whose kernel shows bridged packets to iptables. So one chain with a rule for each address
 * counts them all, and one call reads it. Counters inside the containers would be as exact, but need a process for each node and
 * look, and end with the container; what a connection has sent (`ss -ti`) ends with the connection.
 */

import { readFileSync } from "node:fs";
import { command } from "../../test/containers/support/command.ts";

const LINK_PORT = "7883";
const MDNS_PORT = "5353";
/** iptables counts from the IP header on, interfaces from the Ethernet header on. */
const ETHERNET_HEADER_BYTES = 14;
const SHOWS_BRIDGED = "/proc/sys/net/bridge/bridge-nf-call-iptables";

/** Before conntrack and whatever the engine does. */
const rawTable = (...words: readonly string[]): Promise<string> =>
  command("iptables", "-w", "-t", "raw", ...words);

export class MeshTraffic {
  readonly #chain: string;
  readonly #addresses = new Set<string>();

  private constructor(chain: string) {
    this.#chain = chain;
  }

  /** Begins to count. @throws {Error} if the kernel would show nothing, or iptables fails. */
  static async create(): Promise<MeshTraffic> {
    if (readFileSync(SHOWS_BRIDGED, "utf8").trim() !== "1")
      throw new Error("iptables sees no bridged packets: sysctl -w net.bridge.bridge-nf-call-iptables=1");
    const traffic = new MeshTraffic(`SKEIN-MESH-${process.pid}`);
    await rawTable("-N", traffic.#chain);
    for (const jump of traffic.#jumps()) await rawTable("-A", "PREROUTING", ...jump);
    return traffic;
  }

  /** By address the bytes it has sent since it was asked for first, as its interface counts them. */
  async sentBytes(addresses: readonly string[]): Promise<ReadonlyMap<string, number>> {
    for (const address of addresses) {
      if (this.#addresses.has(address)) continue;
      await rawTable("-A", this.#chain, "-s", address);
      this.#addresses.add(address);
    }
    return countersOf(await command("iptables-save", "-c", "-t", "raw"), this.#chain);
  }

  async remove(): Promise<void> {
    for (const jump of this.#jumps()) await rawTable("-D", "PREROUTING", ...jump);
    await rawTable("-F", this.#chain);
    await rawTable("-X", this.#chain);
  }

  /** A link is dialled from one end: the other one's packets come from its port. */
  #jumps(): readonly (readonly string[])[] {
    return [
      ["-p", "tcp", "-m", "multiport", "--ports", LINK_PORT, "-j", this.#chain],
      ["-p", "udp", "--dport", MDNS_PORT, "-j", this.#chain],
    ];
  }
}

/** By address the bytes with all headers, of what iptables-save prints about `chain`. */
export function countersOf(saved: string, chain: string): ReadonlyMap<string, number> {
  const rule = /^\[(\d+):(\d+)\] -A (\S+) -s ([\d.]+)\/32$/gm;
  const rules = [...saved.matchAll(rule)].filter(([, , , name]) => name === chain);
  return new Map(
    rules.map(([, packets, bytes, , address = ""]) => {
      return [address, Number(bytes) + ETHERNET_HEADER_BYTES * Number(packets)];
    }),
  );
}
