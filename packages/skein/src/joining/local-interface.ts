/**
 * The floating address of a mesh on this machine: network interfaces have other names here than on the node that told of it.
 */

import { BlockList, isIPv4 } from "node:net";
import { networkInterfaces } from "node:os";
import type { SharedSettings } from "../config/shared-settings.ts";

/** `vip` with the interface of this machine whose network the address belongs to; as it was where there is none. */
export function hostsInterface(
  settings: SharedSettings,
  interfaces: ReturnType<typeof networkInterfaces> = networkInterfaces(),
): SharedSettings {
  const { vip } = settings;
  if (typeof vip !== "string") return settings;
  const [address = ""] = vip.split(/[%/]/);
  const name = isIPv4(address) ? interfaceFor(address, interfaces) : undefined;
  return name === undefined || !vip.includes("%")
    ? settings
    : { ...settings, vip: `${vip.split("%")[0]}%${name}` };
}

function interfaceFor(address: string, interfaces: ReturnType<typeof networkInterfaces>): string | undefined {
  for (const [name, entries = []] of Object.entries(interfaces)) {
    for (const { family, internal, cidr } of entries) {
      const [network = "", bits = ""] = cidr?.split("/") ?? [];
      if (family !== "IPv4" || internal || network === address) continue;
      const subnet = new BlockList();
      subnet.addSubnet(network, Number(bits));
      if (subnet.check(address)) return name;
    }
  }
  return undefined;
}
