/**
 * A small network of its own: one bridge, a network namespace for each box, and this process as one of the people on it.
 *
 * What loopback cannot show: an address that moves, kernels that know nothing of each other, resets that arrive. Needs root and
 * iproute2. Everything that runs in a namespace ends with it; `remove` takes all of it away.
 */

import { execFileSync } from "node:child_process";

/** The number of the worker that runs this file, from 1: files that run at the same time are on networks of their own. */
const { VITEST_POOL_ID = "1" } = process.env;
/** Test network of RFC 2544; nothing of the kind exists elsewhere. */
const SUBNET = `198.18.${Number(VITEST_POOL_ID) % 256}`;

export class NetworkLab {
  readonly #prefix = `skl${process.pid}`;
  readonly #bridge = `${this.#prefix}-lan`;
  readonly #namespaces: string[] = [];

  constructor() {
    ip("netns", "add", this.#bridge);
    this.#namespaces.push(this.#bridge);
    ip("-n", this.#bridge, "link", "add", "br0", "type", "bridge");
    ip("-n", this.#bridge, "link", "set", "br0", "up");
  }

  /** An address of this network. */
  static address(host: number): string {
    return `${SUBNET}.${host}`;
  }

  /** Connects a box with `address(host)` on its interface `eth0`. Returns its namespace. */
  connect(host: number): string {
    const namespace = `${this.#prefix}-${host}`;
    ip("netns", "add", namespace);
    this.#namespaces.push(namespace);
    const port = `p${host}`;
    ip(
      "link",
      "add",
      "name",
      "eth0",
      "netns",
      namespace,
      "type",
      "veth",
      "peer",
      "name",
      port,
      "netns",
      this.#bridge,
    );
    ip("-n", this.#bridge, "link", "set", port, "master", "br0", "up");
    ip("-n", namespace, "addr", "add", `${NetworkLab.address(host)}/24`, "dev", "eth0");
    ip("-n", namespace, "link", "set", "eth0", "up");
    ip("-n", namespace, "link", "set", "lo", "up");
    return namespace;
  }

  /** Connects this process's own network, with `address(host)`. */
  join(host: number): void {
    const port = `p${host}`;
    ip("link", "add", "name", this.#prefix, "type", "veth", "peer", "name", port, "netns", this.#bridge);
    ip("-n", this.#bridge, "link", "set", port, "master", "br0", "up");
    ip("addr", "add", `${NetworkLab.address(host)}/24`, "dev", this.#prefix);
    ip("link", "set", this.#prefix, "up");
  }

  /** With a namespace its interfaces go, and the other ends of those. */
  remove(): void {
    for (const namespace of this.#namespaces.reverse()) ip("netns", "del", namespace);
  }
}

/** What runs a command in `namespace`. */
export function launcherIn(namespace: string): readonly string[] {
  return ["ip", "netns", "exec", namespace];
}

function ip(...args: readonly string[]): void {
  execFileSync("ip", [...args], { stdio: ["ignore", "ignore", "pipe"] });
}
