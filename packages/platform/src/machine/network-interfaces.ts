/** The network interfaces of this machine, as the floating address must know them. */

import { networkInterfaces } from "node:os";
import { systemBootMs } from "./boot-time.ts";

export interface SystemInterface {
  /** `aa:bb:cc:dd:ee:ff`. */
  readonly mac: string;
  readonly addresses: readonly { readonly address: string; readonly prefixLength: number }[];
}

/** The interface `name` as it is now; undefined: there is none, or it has no address. */
export function systemInterface(name: string): SystemInterface | undefined {
  const entries = networkInterfaces()[name];
  const first = entries?.[0];
  if (entries === undefined || first === undefined) return undefined;
  const addresses = entries.map(({ address, cidr }) => {
    return { address, prefixLength: Number(cidr?.split("/")[1] ?? Number.NaN) };
  });
  return { mac: first.mac.toLowerCase(), addresses };
}

/** The Ethernet addresses of all interfaces that have an IP address. */
export function systemMacs(): readonly string[] {
  const macs = Object.values(networkInterfaces()).flatMap((entries) => entries?.map(({ mac }) => mac) ?? []);
  return [...new Set(macs)].filter((mac) => mac !== "00:00:00:00:00:00").map((mac) => mac.toLowerCase());
}

/** What a node wants to know of the network while it runs. */
export const systemNetwork = {
  interfaceOf: systemInterface,
  macs: systemMacs,
  bootMs: systemBootMs,
} as const;
