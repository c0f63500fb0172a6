/** Numbers as operators write them: counts, sizes such as 256k and 4M, times such as 90s, 12h and 14d. */

import { Problem } from "./addresses.ts";

const SIZES: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };
const TIMES: Readonly<Record<string, number>> = { "": 1, s: 1, m: 60, h: 3600, d: 86_400 };

/** A whole number. */
export function parseCount(text: string, min: number, max: number): number | Problem {
  const isRight = /^\d{1,15}$/.test(text) && Number(text) >= min && Number(text) <= max;
  return isRight ? Number(text) : new Problem(`it must be a whole number from ${min} to ${max}`);
}

/** Bytes. */
export function parseSize(text: string, min: number, max: number): number | Problem {
  const bytes = withUnit(text, SIZES);
  if (bytes !== undefined && bytes >= min && bytes <= max) return bytes;
  return new Problem(`it must be a size such as 256k or 4M, from ${min} to ${max} bytes`);
}

export function parseSeconds(text: string, min: number, max: number): number | Problem {
  const seconds = withUnit(text, TIMES);
  if (seconds !== undefined && seconds >= min && seconds <= max) return seconds;
  return new Problem(`it must be a time such as 90s, 12h or 14d, from ${min} to ${max} seconds`);
}

function withUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const [, digits, unit = ""] = /^(\d{1,12})\s*([a-z]?)$/i.exec(text) ?? [];
  const factor = units[unit.toLowerCase()];
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}
