/**
 * IP addresses as text and as bytes, 4 for IPv4 and 16 for IPv6, for protocols that carry them in binary.
 *
 * Addresses that strangers and other nodes tell become arguments of programs that run with privileges: what has gone through here is an
 * address and nothing else.
 *
 * IPv6 is written in its one canonical form and read in any of its forms, a dotted tail included. No scopes (`%eth0`): they
 * mean nothing on another machine. Source: RFC 4291 section 2.2; RFC 5952 section 4.
 */

const GROUPS = 8;

/** The bytes of `text`; undefined if it is not an address. */
export function parseIp(text: string): Uint8Array | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** The text of 4 or 16 bytes. */
export function formatIp(bytes: Uint8Array): string {
  return bytes.length === 4 ? bytes.join(".") : formatIpv6(bytes);
}

function parseIpv4(text: string): Uint8Array | undefined {
  const parts = text.split(".");
  // No leading zeros: some programs read them as octal.
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255))
    return undefined;
  return Uint8Array.from(parts, Number);
}

function parseIpv6(text: string): Uint8Array | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0] ?? "", halves.length === 1);
  const tail = groupsOf(halves[1] ?? "", true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = GROUPS - head.length - tail.length;
  // `::` stands for at least one group.
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]));
}

/** The groups on one side of `::`; `isEnd`: the address ends with it, so that it may end in dotted form. */
function groupsOf(text: string, isEnd: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [at, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16));
      continue;
    }
    const dotted = isEnd && at === parts.length - 1 ? parseIpv4(part) : undefined;
    if (dotted === undefined) return undefined;
    const [a = 0, b = 0, c = 0, d = 0] = dotted;
    groups.push((a << 8) | b, (c << 8) | d);
  }
  return groups;
}

function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: GROUPS }, (_, at) => {
    return ((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0);
  });
  const { from, length } = longestZeros(groups);
  const hex = groups.map((group) => group.toString(16));
  if (length < 2) return hex.join(":");
  return `${hex.slice(0, from).join(":")}::${hex.slice(from + length).join(":")}`;
}

/** The first of the longest runs of zero groups. */
function longestZeros(groups: readonly number[]): { readonly from: number; readonly length: number } {
  let best = { from: 0, length: 0 };
  for (let at = 0; at < groups.length; at++) {
    let end = at;
    while (groups[end] === 0) end++;
    if (end - at > best.length) best = { from: at, length: end - at };
    at = Math.max(at, end - 1);
  }
  return best;
}
