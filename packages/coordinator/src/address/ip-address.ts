/**
 * IP addresses as bytes and as text: 4 bytes or 16.
 *
 * Addresses of clients become arguments of a program that is run with privileges, and come from other nodes: what has gone
 * through here is an address and nothing else.
 *
 * Source: RFC 4291 section 2.2 (text forms), RFC 5952 (the one to write).
 */

const GROUPS = 8;

/** The bytes of an IPv4 or IPv6 address, or undefined if `text` is neither. */
export function parseIp(text: string): Uint8Array | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** The text of 4 or 16 bytes, IPv6 in its shortest form. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: GROUPS }, (_, at) => groupAt(bytes, at));
  const [from, length] = longestZeros(groups);
  const texts = groups.map((group) => group.toString(16));
  if (length < 2) return texts.join(":");
  return `${texts.slice(0, from).join(":")}::${texts.slice(from + length).join(":")}`;
}

/** Whether `address` is in the network of `other`, whose first `prefixLength` bits are the network's. */
export function isInNetwork(address: Uint8Array, other: Uint8Array, prefixLength: number): boolean {
  if (address.length !== other.length) return false;
  for (let bit = 0; bit < prefixLength; bit += 8) {
    const mask = 0xff & (0xff << Math.max(0, 8 - (prefixLength - bit)));
    const at = bit / 8;
    if (((address[at] ?? 0) & mask) !== ((other[at] ?? 0) & mask)) return false;
  }
  return true;
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255))
    return undefined;
  return Uint8Array.from(parts, Number);
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  // IPv4 may stand at the very end only.
  if (halves.length === 2 && halves[0]?.includes(".") === true) return undefined;
  const [head, tail] = halves.map((half) => (half === "" ? [] : half.split(":").flatMap(groupsOf)));
  if (head === undefined) return undefined;
  const groups =
    tail === undefined
      ? head
      : [...head, ...Array<number>(Math.max(1, GROUPS - head.length - tail.length)).fill(0), ...tail];
  if (groups.length !== GROUPS || groups.some(Number.isNaN)) return undefined;
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** One group, or two where the last 32 bits are written as IPv4. NaN: not a group. */
function groupsOf(part: string, at: number, parts: readonly string[]): readonly number[] {
  if (part.includes(".")) {
    const bytes = at === parts.length - 1 ? parseIpv4(part) : undefined;
    return bytes === undefined ? [Number.NaN] : [groupAt(bytes, 0), groupAt(bytes, 1)];
  }
  return [/^[0-9a-f]{1,4}$/i.test(part) ? Number.parseInt(part, 16) : Number.NaN];
}

function groupAt(bytes: Uint8Array, at: number): number {
  return ((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0);
}

function longestZeros(groups: readonly number[]): readonly [from: number, length: number] {
  let best: readonly [number, number] = [0, 0];
  for (let from = 0; from < groups.length; from++) {
    let length = 0;
    while (groups[from + length] === 0) length++;
    if (length > best[1]) best = [from, length];
  }
  return best;
}
