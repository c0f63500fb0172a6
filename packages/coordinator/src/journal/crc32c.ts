/**
 * CRC-32C (Castagnoli), the checksum of every journal record.
 *
 * It finds every burst of up to 32 flipped bits, which covers what rot does to one place of a medium. Reflected
 * polynomial 0x82F63B78, slicing by four so that replaying a full journal stays a matter of a second on a small board.
 * Source: RFC 3720 section 12.1 and appendix B.4 (test vectors); Kounavis and Berry 2005 (slicing).
 */

const POLYNOMIAL = 0x82f63b78;
/** Four tables of 256: entry [k * 256 + b] is byte b followed by k zero bytes. */
const TABLES = buildTables();

/** Checksum of `bytes[from, to)`, continuing from `seed`, the checksum of what came before (0 at the start). */
export function crc32c(bytes: Uint8Array, seed = 0, from = 0, to = bytes.length): number {
  let crc = ~seed;
  let at = from;
  for (const end = to - 3; at < end; at += 4) {
    const a = (crc ^ (bytes[at] as number)) & 0xff;
    const b = ((crc >>> 8) ^ (bytes[at + 1] as number)) & 0xff;
    const c = ((crc >>> 16) ^ (bytes[at + 2] as number)) & 0xff;
    const d = (crc >>> 24) ^ (bytes[at + 3] as number);
    crc =
      (TABLES[768 + a] as number) ^
      (TABLES[512 + b] as number) ^
      (TABLES[256 + c] as number) ^
      (TABLES[d] as number);
  }
  for (; at < to; at++) {
    crc = (TABLES[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

/**
 * The checksum is linear: a byte's entry is the sum of those of its bits. So this takes a third of the steps that one byte and bit after
 * the other take, with which it was the only thing in a start that V8 handed to its last compiler, whose code is 5 MB to have in memory.
 */
function buildTables(): Int32Array {
  const tables = new Int32Array(1024);
  let crc = 1;
  for (let bit = 0x80; bit > 0; bit >>>= 1) {
    crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ POLYNOMIAL;
    for (let at = 0; at < 256; at += 2 * bit) tables[at + bit] = (tables[at] as number) ^ crc;
  }
  for (let at = 256; at < 1024; at++) {
    const before = tables[at - 256] as number;
    tables[at] = (tables[before & 0xff] as number) ^ (before >>> 8);
  }
  return tables;
}
