/**
 * What was written to retained topics, and whether every broker holds the same in the end: the newest that was acknowledged.
 *
 * Each topic has one writer, which numbers its writes 0, 1, 2, ...; a write may be a deletion. A write that was sent more than once is
 * several writes for the broker, and one whose answer did not come may take effect at any moment after it was sent, also
 * after a later one. So a topic may hold its last acknowledged write, a later one, or one that was sent twice or never answered.
 */

import { type Judgement, seconds, Verdict } from "./judgement.ts";

/** A retained message, or that there is none. */
export const DELETED = "";

interface Write {
  readonly value: string;
  readonly sentAt: number;
  attempts: number;
  answeredAt: number | undefined;
  isRefused: boolean;
}

/** What one broker serves: topic and payload. */
export interface RetainedSet {
  readonly broker: string;
  readonly messages: ReadonlyMap<string, string>;
}

export class RetainedLedger {
  readonly #topics = new Map<string, Write[]>();

  /** Write `number` of `topic` is sent, for the first time or again. `value`: {@link DELETED} for a deletion. */
  sent(topic: string, number: number, value: string, at: number): void {
    let writes = this.#topics.get(topic);
    if (writes === undefined) {
      writes = [];
      this.#topics.set(topic, writes);
    }
    const known = writes[number];
    if (known === undefined)
      writes[number] = { value, sentAt: at, attempts: 1, answeredAt: undefined, isRefused: false };
    else known.attempts += 1;
  }

  answered(topic: string, number: number, isRefused: boolean, at: number): void {
    const write = this.#topics.get(topic)?.[number];
    if (write === undefined || write.answeredAt !== undefined) return;
    write.answeredAt = at;
    write.isRefused = isRefused;
  }

  /** Writes that were acknowledged. */
  get acknowledged(): number {
    let count = 0;
    for (const writes of this.#topics.values()) {
      for (const { answeredAt, isRefused } of writes) if (answeredAt !== undefined && !isRefused) count += 1;
    }
    return count;
  }

  judge(sets: readonly RetainedSet[]): readonly Judgement[] {
    return [this.#same(sets), this.#current(sets)].map(({ judgement }) => judgement);
  }

  #same(sets: readonly RetainedSet[]): Verdict {
    const same = new Verdict("every broker serves the same retained messages");
    const [first, ...others] = sets;
    if (first === undefined) return same;
    for (const other of others) {
      for (const topic of new Set([...first.messages.keys(), ...other.messages.keys()])) {
        same.judge();
        const here = first.messages.get(topic) ?? DELETED;
        const there = other.messages.get(topic) ?? DELETED;
        if (here === there) continue;
        const what = `${first.broker} has ${shown(here)}, ${other.broker} has ${shown(there)}`;
        same.break({ client: other.broker, topic, id: "", what });
      }
    }
    return same;
  }

  #current(sets: readonly RetainedSet[]): Verdict {
    const current = new Verdict("retained topics hold the newest that was acknowledged");
    for (const { broker, messages } of sets) {
      for (const [topic, writes] of this.#topics) {
        const last = writes.findLastIndex(({ answeredAt, isRefused }) => {
          return answeredAt !== undefined && !isRefused;
        });
        if (last < 0) continue;
        current.judge();
        const found = messages.get(topic) ?? DELETED;
        const isAllowed = writes.some(({ value, attempts, answeredAt }, number) => {
          return value === found && (number >= last || attempts > 1 || answeredAt === undefined);
        });
        if (isAllowed) continue;
        const at = seconds(writes[last]?.answeredAt);
        const what = `write ${last} (${shown(writes[last]?.value ?? DELETED)}) was acknowledged at ${at}, there is ${shown(found)}`;
        current.break({ client: broker, topic, id: String(last), what });
      }
    }
    return current;
  }
}

function shown(value: string): string {
  return value === DELETED ? "nothing" : `"${value}"`;
}
