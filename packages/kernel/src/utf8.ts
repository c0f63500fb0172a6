/**
 * UTF-8 without TextEncoder, which the cores do not have (they compile without Node and DOM types).
 *
 * ASCII, nearly every topic, takes the short loop. Unpaired surrogates become U+FFFD on writing; malformed input
 * is refused on reading. Source: RFC 3629.
 */

import { SkeinError } from "./errors.ts";

const RUN_BYTES = 8;
/** Instead of a code point. */
const MALFORMED = -1;

/** Bytes that `text` needs in UTF-8. */
export function utf8Length(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) continue;
    if (unit < 0x800) {
      length += 1;
    } else {
      length += 2;
      if (isSurrogatePair(text, i, unit)) i++;
    }
  }
  return length;
}

/** Writes `text` at `at`; the caller has made room for {@link utf8Length} bytes. */
export function encodeUtf8Into(text: string, target: Uint8Array, at: number): void {
  let to = at;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit < 0x80) {
      target[to++] = unit;
      continue;
    }
    let point = unit;
    if (isSurrogatePair(text, i, unit)) {
      point = text.codePointAt(i) ?? unit;
      i++;
    } else if (unit >= 0xd800 && unit <= 0xdfff) {
      point = 0xfffd;
    }
    if (point < 0x800) {
      target[to++] = 0xc0 | (point >> 6);
    } else {
      if (point < 0x10000) {
        target[to++] = 0xe0 | (point >> 12);
      } else {
        target[to++] = 0xf0 | (point >> 18);
        target[to++] = 0x80 | ((point >> 12) & 0x3f);
      }
      target[to++] = 0x80 | ((point >> 6) & 0x3f);
    }
    target[to++] = 0x80 | (point & 0x3f);
  }
}

/** The text in `source[from, to)`. @throws {SkeinError} ERR_SKEIN_MALFORMED if it is not well-formed UTF-8. */
export function decodeUtf8(source: Uint8Array, from: number, to: number): string {
  let text = "";
  let at = from;
  while (at < to) {
    const run = at + RUN_BYTES <= to ? asciiRun(source, at) : undefined;
    if (run !== undefined) {
      text += run;
      at += RUN_BYTES;
      continue;
    }
    const point = pointAt(source, at, to);
    if (point === MALFORMED) throw malformed(at);
    text += point < 0x80 ? String.fromCharCode(point) : String.fromCodePoint(point);
    at += widthOf(point);
  }
  return text;
}

/** Whether `bytes` are well-formed UTF-8. U+0000 is allowed. */
export function isUtf8(bytes: Uint8Array): boolean {
  let at = 0;
  while (at < bytes.length) {
    const point = pointAt(bytes, at, bytes.length);
    if (point === MALFORMED) return false;
    at += widthOf(point);
  }
  return true;
}

/** The code point that begins at `at` and ends before `to`, or MALFORMED: RFC 3629 section 4. */
function pointAt(source: Uint8Array, at: number, to: number): number {
  const byte = source[at] as number;
  if (byte < 0x80) return byte;
  const extra = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
  if (byte < 0xc2 || byte > 0xf4 || at + extra >= to) return MALFORMED;
  let point = byte & (0x3f >> extra);
  for (let i = 1; i <= extra; i++) {
    const next = source[at + i] as number;
    if ((next & 0xc0) !== 0x80) return MALFORMED;
    point = (point << 6) | (next & 0x3f);
  }
  const smallest = extra === 1 ? 0x80 : extra === 2 ? 0x800 : 0x10000;
  const isOutside = point < smallest || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff);
  return isOutside ? MALFORMED : point;
}

/** Bytes of a code point. */
function widthOf(point: number): number {
  return point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
}

/** The eight letters at `at`, if all are ASCII: a string that grows by eight costs half of one that grows by one. */
function asciiRun(source: Uint8Array, at: number): string | undefined {
  const a = source[at] as number;
  const b = source[at + 1] as number;
  const c = source[at + 2] as number;
  const d = source[at + 3] as number;
  const e = source[at + 4] as number;
  const f = source[at + 5] as number;
  const g = source[at + 6] as number;
  const h = source[at + 7] as number;
  return (a | b | c | d | e | f | g | h) < 0x80 ? String.fromCharCode(a, b, c, d, e, f, g, h) : undefined;
}

function isSurrogatePair(text: string, at: number, unit: number): boolean {
  if (unit < 0xd800 || unit > 0xdbff || at + 1 >= text.length) return false;
  const next = text.charCodeAt(at + 1);
  return next >= 0xdc00 && next <= 0xdfff;
}

function malformed(at: number): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode text: malformed UTF-8 at byte ${at}`);
}
