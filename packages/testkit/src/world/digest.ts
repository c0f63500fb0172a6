/**
 * A digest of everything that was observed, value by value and in order.
 *
 * Two runs of one seed must agree in it, so it is taken of all that happens; that costs a third of what the text of each
 * observation did. Field names are left out: they follow from the observation's kind, which is one of the values.
 */

import { mix, mixText } from "./random-streams.ts";

const NULL = 1;
const TRUE = 2;
const FALSE = 3;
const OBJECT = 4;
const ABSENT = 5;

/** All 64 bits of a number: times are fractions. */
const number = new Float64Array(1);
const halves = new Uint32Array(number.buffer);

/** Adds the values of all fields of `fields`, and of the lists and objects in it, to a rolling hash. */
export function mixValues(hash: number, fields: object): number {
  let mixed = hash;
  for (const name in fields) mixed = mixValue(mixed, fields[name as keyof typeof fields]);
  return mixed;
}

function mixValue(hash: number, value: unknown): number {
  if (typeof value === "string") return mixText(hash, value);
  if (typeof value === "number") {
    number[0] = value;
    return mix(mix(hash, halves[0] as number), halves[1] as number);
  }
  if (typeof value === "boolean") return mix(hash, value ? TRUE : FALSE);
  if (value === null) return mix(hash, NULL);
  return typeof value === "object" ? mixValues(mix(hash, OBJECT), value) : mix(hash, ABSENT);
}
