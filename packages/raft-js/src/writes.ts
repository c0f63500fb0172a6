/**
 * Which part of the log is safe on this server's disk, while writes are under way.
 *
 * Writes complete in the order they were started. A write vouches for the entries up to its end, unless a later
 * write overwrites them: then only for those before the overwritten index, even if the same (index, term) comes back
 * later, because in between the disk will hold something else (etcd testdata
 * `async_storage_writes_append_aba_race.txt`).
 */

import type { HardState } from "./types.ts";

export interface Write {
  readonly index: number;
  readonly term: number;
  /** Term and vote that become safe with this write, if it carries them. */
  readonly hardState: HardState | undefined;
  /** A snapshot replaces the log. */
  readonly isRestore: boolean;
}

export class Writes {
  readonly #underWay: { readonly write: Write; vouchesFor: number }[] = [];
  #persistedIndex: number;

  constructor(persistedIndex: number) {
    this.#persistedIndex = persistedIndex;
  }

  /** Last entry known to be safe. */
  get persistedIndex(): number {
    return this.#persistedIndex;
  }

  get isIdle(): boolean {
    return this.#underWay.length === 0;
  }

  /** True while a snapshot is being taken over. */
  get isRestoring(): boolean {
    return this.#underWay.some(({ write }) => write.isRestore);
  }

  started(write: Write): void {
    this.#underWay.push({ write, vouchesFor: write.index });
  }

  /** Entries from `index` on are being replaced. */
  overwritten(index: number): void {
    this.#persistedIndex = Math.min(this.#persistedIndex, index - 1);
    for (const pending of this.#underWay) pending.vouchesFor = Math.min(pending.vouchesFor, index - 1);
  }

  /**
   * Takes the oldest write that ended at (`index`, `term`), and those before it, off the list and returns them.
   * An unknown position changes nothing.
   */
  completed(index: number, term: number): readonly Write[] {
    const at = this.#underWay.findIndex(({ write }) => write.index === index && write.term === term);
    const done = this.#underWay.splice(0, at + 1);
    for (const { vouchesFor } of done) this.#persistedIndex = Math.max(this.#persistedIndex, vouchesFor);
    return done.map(({ write }) => write);
  }
}
