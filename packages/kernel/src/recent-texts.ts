/**
 * Texts that were decoded lately, found by a hash of their bytes.
 *
 * Frames and commands name the same cluster, nodes, topics and filters again and again. A text that is found here is not
 * decoded again; and it is the same string as the last time, so that a map need not hash it anew nor compare it letter by
 * letter. The table is direct-mapped and bounded: a collision costs a decode, and long texts are not kept.
 */

import { hashOfBytes, isSameBytes } from "./byte-key.ts";
import { decodeUtf8 } from "./utf8.ts";

const PLACES = 1024;
const KEPT_BYTES_MAX = 64;

interface Recent {
  readonly bytes: Uint8Array;
  readonly text: string;
}

const recent: (Recent | undefined)[] = new Array(PLACES).fill(undefined);

/** The text in `source[from, to)`. @throws {SkeinError} ERR_SKEIN_MALFORMED if it is not well-formed UTF-8. */
export function recentText(source: Uint8Array, from: number, to: number): string {
  if (to - from > KEPT_BYTES_MAX) return decodeUtf8(source, from, to);
  const place = hashOfBytes(source, from, to) & (PLACES - 1);
  const known = recent[place];
  if (known !== undefined && isSameBytes(known.bytes, source, from, to)) return known.text;
  const text = decodeUtf8(source, from, to);
  recent[place] = { bytes: new Uint8Array(source.subarray(from, to)), text };
  return text;
}
