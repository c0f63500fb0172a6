/**
 * What tells this machine from every other, and is neither on its disk nor made anew with each container.
 *
 * The board's serial number (Raspberry Pi), else the UUID of the mainboard (readable by root only). Not the machine-id, which
 * is on the card that is copied, nor a MAC address, which a container gets with each start. Some boards have a UUID of their
 * model: those that are known count as none.
 *
 * Source: Linux Documentation/ABI/testing/sysfs-firmware-ofw, dmi-sysfs; reference/design.md 1.3.
 */

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { codeOf } from "../system-error.ts";

const FILES = ["/sys/firmware/devicetree/base/serial-number", "/sys/class/dmi/id/product_uuid"];
/** All digits alike, or the sample of the UEFI sources that many boards were sold with. */
const NO_NUMBER = /^[0-]+$|^[f-]+$|^03000200-0400-0500-0006-000700080009$/;

/** 16 hexadecimal digits; empty: the system does not tell. */
export function systemHardware(): string {
  return hardwareOf(FILES.map(contentOf));
}

/** The same, of what the files hold. */
export function hardwareOf(contents: readonly string[]): string {
  const number = contents.find((text) => text !== "" && !NO_NUMBER.test(text));
  if (number === undefined) return "";
  return createHash("sha256").update(`skein hardware ${number}`).digest("hex").slice(0, 16);
}

function contentOf(path: string): string {
  try {
    // The device tree ends its texts with a zero byte.
    return readFileSync(path, "latin1").replaceAll("\0", "").trim().toLowerCase();
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    return "";
  }
}
