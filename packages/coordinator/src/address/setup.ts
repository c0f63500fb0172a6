/** Whether an address can float on an interface at all, said in one sentence if not. */

import { formatIp, parseIp } from "@skein/kernel";
import type { FloatingAddressOptions } from "../options.ts";
import { isInNetwork } from "./ip-network.ts";

/** A network interface of this machine. */
export interface InterfaceView {
  /** `aa:bb:cc:dd:ee:ff`. */
  readonly mac: string;
  readonly addresses: readonly { readonly address: string; readonly prefixLength: number }[];
}

/** What is wrong, or undefined. `view`: the interface, undefined if the machine has none of that name. */
export function setupProblem(
  { address, networkInterface }: FloatingAddressOptions,
  view: InterfaceView | undefined,
): string | undefined {
  if (view === undefined)
    return `There is no network interface ${networkInterface} with an address and a network. Running without the floating address; plug in its cable, or see which there are with: ip addr`;
  const ip = parseIp(address);
  if (ip === undefined) return `${address} is not an IP address. Running without the floating address.`;
  const own = view.addresses
    .map(({ address: text, prefixLength }) => ({ ip: parseIp(text), prefixLength }))
    .filter((one): one is { ip: Uint8Array; prefixLength: number } => one.ip !== undefined)
    // The floating address itself, and others like it, are in no network.
    .filter((one) => one.ip.length === ip.length && one.prefixLength < 8 * ip.length);
  if (own.some((one) => isInNetwork(ip, one.ip, one.prefixLength))) return undefined;
  const networks = own.map((one) => `${formatIp(one.ip)}/${one.prefixLength}`).join(", ");
  const found =
    networks === ""
      ? `${networkInterface} has no address of that kind`
      : `${networkInterface} has ${networks}`;
  return `The floating address ${address} is outside the network of ${networkInterface} (${found}). Choose a free address inside it and set --vip.`;
}
