/** Whether `address` is in the network of `other`, whose first `prefixLength` bits are the network's. Both as bytes. */
export function isInNetwork(address: Uint8Array, other: Uint8Array, prefixLength: number): boolean {
  if (address.length !== other.length) return false;
  for (let bit = 0; bit < prefixLength; bit += 8) {
    const mask = 0xff & (0xff << Math.max(0, 8 - (prefixLength - bit)));
    const at = bit / 8;
    if (((address[at] ?? 0) & mask) !== ((other[at] ?? 0) & mask)) return false;
  }
  return true;
}
