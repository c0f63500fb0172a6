/**
 * A number that says whether two replicas have gone through the same changes: each change is mixed in, none is taken back.
 *
 * Cheap where the set itself is too large to be looked at. It is part of the state and of its snapshot, so a replica
 * that was restored goes on where the other one was. Source: FNV-1a (Fowler, Noll, Vo).
 */

const PRIME = 0x0100_0193;
const OFFSET = 0x811c_9dc5;

export class RunningHash {
  #value = OFFSET;

  get value(): number {
    return this.#value;
  }

  add(change: string): void {
    let value = this.#value;
    for (let at = 0; at < change.length; at++) value = Math.imul(value ^ change.charCodeAt(at), PRIME);
    this.#value = value >>> 0;
  }

  restore(value: number): void {
    this.#value = value;
  }
}
