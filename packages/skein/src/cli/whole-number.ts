/** Reads number options. */

import { SkeinError } from "@skein/kernel";

/** @throws {SkeinError} ERR_SKEIN_CONFIG if `text` is no whole number in [min, max] */
export function wholeNumber(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new SkeinError(
    "ERR_SKEIN_CONFIG",
    `Cannot use ${option} "${text}": it must be a whole number from ${min} to ${max}.`,
  );
}
