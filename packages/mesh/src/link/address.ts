/** Taking `host:port` apart and putting it together, `[v6]:port` included. */

/** Host and port of `address`; undefined if it has not that form. */
export function splitAddress(address: string): { readonly host: string; readonly port: number } | undefined {
  const colon = address.lastIndexOf(":");
  if (colon <= 0) return undefined;
  const port = Number(address.slice(colon + 1));
  if (!Number.isInteger(port) || port < 0 || port > 65_535 || address.length === colon + 1) return undefined;
  const host = address.slice(0, colon);
  if (host.startsWith("[") && host.endsWith("]")) return { host: host.slice(1, -1), port };
  return host.includes(":") ? undefined : { host, port };
}

export function joinAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether `host` stands for this machine whatever the machine. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/** Whether a listener on `host` listens on every address of the machine. */
export function isWildcardHost(host: string): boolean {
  return host === "0.0.0.0" || host === "::" || host === "";
}
