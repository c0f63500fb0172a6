/**
 * A 128-bit hash to compare replicas with: equal bytes give equal digests on every machine.
 *
 * Four FNV-1a lanes with different offsets and primes, each finished with a strong bit mixer. Nobody attacks it: a node that
 * could forge a digest already holds the mesh key. Integer arithmetic only.
 *
 * Source: Fowler, Noll, Vo (FNV-1a); MurmurHash3 `fmix32` (Austin Appleby, public domain).
 */

import { hex32 } from "../wire-ids.ts";

export class ReplicaHash {
  #a = 0x811c9dc5 | 0;
  #b = 0x9e3779b9 | 0;
  #c = 0x243f6a88 | 0;
  #d = 0xb7e15162 | 0;

  /** Adds one item: its bytes and their number, so that items cannot run into each other. */
  update(item: Uint8Array): void {
    let a = this.#a ^ item.length;
    let b = this.#b;
    let c = this.#c;
    let d = this.#d ^ item.length;
    for (let i = 0; i < item.length; i++) {
      const byte = item[i] as number;
      a = Math.imul(a ^ byte, 0x01000193);
      b = Math.imul(b ^ byte, 0x85ebca6b);
      c = Math.imul(c ^ byte, 0xc2b2ae35);
      d = Math.imul(d ^ byte, 0x27d4eb2f) ^ (a >>> 15);
    }
    this.#a = Math.imul(a, 0x01000193);
    this.#b = mix(b);
    this.#c = mix(c);
    this.#d = mix(d);
  }

  /** 32 hexadecimal digits over everything added so far. */
  digest(): string {
    return [this.#a, this.#b, this.#c, this.#d].map((lane) => hex32(mix(lane) >>> 0)).join("");
  }
}

function mix(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
