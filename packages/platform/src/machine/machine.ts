/**
 * What is told of this machine to the other nodes: a name that nodes on one machine share, and whether its network is a cable.
 *
 * The name comes from what is closest to the hardware, because SD cards are copied: the board's serial number (Raspberry Pi), else
 * the installation's machine id, else the run of the kernel (a container without a machine id; nodes in containers of one host
 * share it). Only a hash of it leaves the machine, as machine-id(5) asks.
 *
 * Source: Linux Documentation/ABI/testing/sysfs-class-net (`phy80211`, `wireless`).
 */

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { codeOf } from "../system-error.ts";
import { systemBootId } from "./boot-id.ts";

const NAME_FILES = ["/sys/firmware/devicetree/base/serial-number", "/etc/machine-id"];
const INTERFACES = "/sys/class/net";

/** 16 hexadecimal digits; empty if the system tells nothing of itself. */
export function systemMachineName(): string {
  const source = NAME_FILES.map(contentOf).find((text) => text !== "") ?? systemBootId();
  if (source === undefined) return "";
  return createHash("sha256").update(`skein machine ${source}`).digest("hex").slice(0, 16);
}

/**
 * Whether the network that `address` is on is a cable; for an address of no interface, that of the first interface with an
 * address. Undefined: the system does not tell.
 */
export function isWiredAddress(address: string): boolean | undefined {
  const name = interfaceOf(address);
  return name === undefined ? undefined : isWiredInterface(name);
}

/** The same of a network interface, such as `eth0`. */
export function isWiredInterface(name: string): boolean | undefined {
  const folder = `${INTERFACES}/${name}`;
  if (!existsSync(folder)) return undefined;
  return !existsSync(`${folder}/wireless`) && !existsSync(`${folder}/phy80211`);
}

function interfaceOf(address: string): string | undefined {
  const outer = Object.entries(networkInterfaces()).filter(([, entries]) =>
    entries?.some(({ internal }) => !internal),
  );
  const [name] =
    outer.find(([, entries]) => entries?.some((entry) => entry.address === address)) ?? outer[0] ?? [];
  return name;
}

function contentOf(path: string): string {
  try {
    // The device tree ends its texts with a zero byte.
    return readFileSync(path, "latin1").replaceAll("\0", "").trim();
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return "";
  }
}
