/**
 * The small languages of addresses: `HOST:PORT`, `HOST`, `ADDRESS%INTERFACE`. Those of listeners are in listen-url.ts.
 *
 * Each parser returns what it read, or one clause that says what is wrong.
 */

import { isIP, isIPv4, SocketAddress } from "node:net";

/** What is wrong with a value, as the end of the sentence `Cannot use --listen "...": ...`. */
export class Problem {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export interface HostPort {
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
}

export interface FloatingAddressSetting {
  readonly address: string;
  readonly networkInterface: string;
}

/** Where a node accepts links if nothing else is said. */
export const LINK_PORT = 7883;
/** Linux IFNAMSIZ, without its closing zero. */
const INTERFACE_NAME_MAX = 15;

/** Reads `HOST:PORT`, `[v6]:PORT`; an empty host means all addresses. */
export function parseHostPort(text: string): HostPort | Problem {
  const match = /^(\[[^\]]*\]|[^:[\]/]*):([^:]*)$/.exec(text);
  if (match === null) return new Problem("it is not HOST:PORT, such as 192.168.1.20:7883 or [fe80::1]:7883");
  const port = parsePort(match[2] ?? "");
  if (port instanceof Problem) return port;
  const host = parseHost(match[1] ?? "");
  if (host instanceof Problem) return host;
  return { host: host === "" ? "0.0.0.0" : host, port };
}

/**
 * Reads where another node is: `HOST`, `HOST:PORT`, `[v6]`, `[v6]:PORT`. Without a port it is the one links are accepted on
 * where nothing else is said.
 */
export function parsePeer(text: string): HostPort | Problem {
  if (isIP(text.split("%")[0] ?? "") === 6)
    return new Problem(`put an IPv6 address in brackets: [${text}], or [${text}]:${LINK_PORT}`);
  const match = /^(\[[^\]]*\]|[^:[\]/]*)(?::([^:/]*))?$/.exec(text);
  if (match === null)
    return new Problem("it is not HOST or HOST:PORT, such as pi1.local, 192.168.1.20:7883 or [fd00::1]:7883");
  const port = match[2] === undefined ? LINK_PORT : parsePort(match[2]);
  if (port instanceof Problem) return port;
  const host = parseHost(match[1] ?? "");
  if (host instanceof Problem) return host;
  if (host === "") return new Problem("the name or address of the other node is missing");
  return port === 0 ? new Problem("no node is reached at port 0") : { host, port };
}

/** Reads `ADDRESS%INTERFACE`: an IP address, in its usual form then, and the network interface that carries it. */
export function parseFloatingAddress(text: string): FloatingAddressSetting | Problem {
  const at = text.indexOf("%");
  if (at === -1)
    return new Problem("the network interface is missing, write it like 192.168.1.250%eth0 (see: ip addr)");
  const address = canonicalIp(text.slice(0, at));
  const networkInterface = text.slice(at + 1);
  if (address === undefined) return new Problem(`"${text.slice(0, at)}" is not an IP address`);
  if (!/^[\w.@-]+$/.test(networkInterface) || networkInterface.length > INTERFACE_NAME_MAX)
    return new Problem(`"${networkInterface}" is not a name of a network interface`);
  return { address, networkInterface };
}

/** `host:port`, with brackets around an IPv6 address. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether only programs on this machine can reach `host`. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
}

/** Whether a listener on `host` listens on every address of the machine. */
export function isWildcardHost(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

/** One text for one address: it is compared with what the system tells. */
function canonicalIp(text: string): string | undefined {
  const family = isIP(text);
  if (family === 0) return undefined;
  return new SocketAddress({ address: text, family: family === 4 ? "ipv4" : "ipv6" }).address;
}

export function parsePort(text: string): number | Problem {
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535)
    return new Problem(`"${text}" is not a port between 0 and 65535`);
  return Number(text);
}

/** Empty stays empty; an IPv6 address loses its brackets. */
export function parseHost(text: string): string | Problem {
  if (text.startsWith("[")) {
    const address = text.slice(1, -1);
    return isIP(address.split("%")[0] ?? "") === 6
      ? address
      : new Problem(`"${address}" is not an IPv6 address`);
  }
  if (text === "" || /^[\w.-]+$/.test(text)) return text;
  return new Problem(`"${text}" is neither a host name nor an address`);
}
