/**
 * Texts that were decoded lately, found by a hash of their bytes.
 *
 * Frames and commands name the same cluster, nodes, topics and filters again and again. A text that is found here is not
 * decoded again; and it is the same string as the last time, so that a map need not hash it anew nor compare it letter by
 * letter. The table is direct-mapped and bounded: a collision costs a decode, and long texts are not kept.
 */

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
  let hash = 0x811c9dc5;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ (source[at] as number), 0x01000193);
  const place = (hash ^ (hash >>> 15)) & (PLACES - 1);
  const known = recent[place];
  if (known !== undefined && isAt(known.bytes, source, from, to)) return known.text;
  const text = decodeUtf8(source, from, to);
  recent[place] = { bytes: new Uint8Array(source.subarray(from, to)), text };
  return text;
}

function isAt(bytes: Uint8Array, source: Uint8Array, from: number, to: number): boolean {
  if (bytes.length !== to - from) return false;
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== source[from + i]) return false;
  return true;
}
