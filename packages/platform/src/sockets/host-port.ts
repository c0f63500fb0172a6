/** Addresses as Node gives them, and with their port as text. */

/** IPv4 in its own form where a socket for both families gives `::ffff:192.0.2.1`. Empty if unknown. */
export function plainAddress(address: string | undefined): string {
  if (address === undefined) return "";
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

/** `host:port`, or `[host]:port` for IPv6. */
export function joinHostPort(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The parts of `host:port` or `[host]:port`; undefined if it is neither. */
export function splitHostPort(address: string): { readonly host: string; readonly port: number } | undefined {
  const at = address.lastIndexOf(":");
  const port = Number(address.slice(at + 1));
  const host = address.slice(0, Math.max(0, at));
  if (at === -1 || address.length === at + 1 || !Number.isInteger(port) || port < 0 || port > 65_535)
    return undefined;
  if (host.startsWith("[") && host.endsWith("]")) return { host: host.slice(1, -1), port };
  return host === "" || host.includes(":") ? undefined : { host, port };
}
