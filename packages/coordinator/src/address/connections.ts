/**
 * Who is connected to the floating address: kept by its holder, known to all nodes in memory, used by the next holder.
 *
 * The holder compares what it has with what it told last, and tells the others only the difference. The next holder tickles
 * each (packets.ts). Which clients still believe in their connection does not matter: one that has gone answers nothing, or
 * resets what is not there.
 */

import { formatIp, parseIp } from "@skein/kernel";

/** Of a client to the floating address. */
export interface Connection {
  /** 4 or 16 bytes. */
  readonly ip: Uint8Array;
  readonly port: number;
  /** The listener's. */
  readonly serverPort: number;
}

/** As the broker knows it. */
export interface OpenConnection {
  /** `address:port`, `[v6]:port`. */
  readonly remoteAddress: string;
  readonly serverPort: number;
}

export interface ConnectionChange {
  readonly added: readonly Connection[];
  readonly removed: readonly Connection[];
}

/** More are not told: their clients notice at their keep-alive. */
export const CONNECTIONS_MAX = 4096;

export class Connections {
  readonly #known = new Map<string, Connection>();

  get count(): number {
    return this.#known.size;
  }

  /** Oldest first. */
  get all(): readonly Connection[] {
    return [...this.#known.values()];
  }

  /** These are open now. Returns what has changed since last time. */
  observe(open: Iterable<OpenConnection>): ConnectionChange {
    const gone = new Set(this.#known.keys());
    const added: Connection[] = [];
    for (const { remoteAddress, serverPort } of open) {
      const key = `${remoteAddress} ${serverPort}`;
      if (gone.delete(key) || this.#known.has(key) || this.#known.size >= CONNECTIONS_MAX) continue;
      const connection = parse(remoteAddress, serverPort);
      if (connection === undefined) continue;
      this.#known.set(key, connection);
      added.push(connection);
    }
    const removed = [...gone].map((key) => this.#known.get(key) as Connection);
    for (const key of gone) this.#known.delete(key);
    return { added, removed };
  }

  /** Takes over what another node told. */
  apply({ added, removed }: ConnectionChange): void {
    for (const connection of removed) this.#known.delete(keyOf(connection));
    for (const connection of added) {
      if (this.#known.size < CONNECTIONS_MAX) this.#known.set(keyOf(connection), connection);
    }
  }

  clear(): void {
    this.#known.clear();
  }
}

function parse(remoteAddress: string, serverPort: number): Connection | undefined {
  const at = remoteAddress.lastIndexOf(":");
  const ip = parseIp(remoteAddress.slice(0, at).replace(/^\[|\]$/g, ""));
  const port = Number(remoteAddress.slice(at + 1));
  return ip === undefined || !Number.isInteger(port) ? undefined : { ip, port, serverPort };
}

function keyOf({ ip, port, serverPort }: Connection): string {
  const host = formatIp(ip);
  return `${ip.length === 4 ? host : `[${host}]`}:${port} ${serverPort}`;
}
