/**
 * What this node does without a quorum (P3): it goes on by itself, and acknowledges what it has on its own disk.
 *
 * Not at once: elections take a while, and what is acknowledged meanwhile would be safe on this node only, so it waits until one should
 * be over. `hold`: the mesh prefers that nothing is acknowledged then, and the clients wait.
 *
 * Source: architecture.md section 5 (without quorum); reference design, section 4.7.
 */

import type { Disk, DiskDone, MonotonicMs } from "@skein/kernel";
import type { Durability } from "../journal/stop-mark.ts";
import type { CoordinatorStatus } from "../options.ts";
import { OutboxFile } from "./outbox-file.ts";

/** After the leader counts as silent (status.ts), which takes an election timeout. */
const PATIENCE_MS = 2000;
const FLUSH_EVERY_MS = 1000;
/** Most commands that wait without a quorum, which may last for hours, and most bytes of them. */
export const OUTBOX_COMMANDS_MAX = 50_000;
export const OUTBOX_BYTES_MAX = 64 * 1024 * 1024;

export type OnQuorumLoss = "outbox" | "hold";

export class Outbox {
  readonly #onQuorumLoss: OnQuorumLoss;
  readonly #file: OutboxFile;
  readonly #hasQuorum: () => boolean;
  #since: MonotonicMs | undefined;
  #isCut = false;
  #flushAt = 0;

  /** `hasQuorum`: what this node says now. */
  constructor(onQuorumLoss: OnQuorumLoss, disk: Disk, durability: Durability, hasQuorum: () => boolean) {
    this.#onQuorumLoss = onQuorumLoss;
    this.#hasQuorum = hasQuorum;
    this.#file = new OutboxFile(disk, durability);
  }

  /** There has been no quorum for so long that this node acknowledges on its own. Not a moment longer than it says so. */
  get isCut(): boolean {
    return this.#isCut && !this.#hasQuorum();
  }

  /** What earlier runs of this node have left, in order. @throws {SkeinError} ERR_SKEIN_DISK */
  read(): Uint8Array[] {
    return this.#file.read();
  }

  /** Puts commands on the disk. */
  keep(commands: readonly Uint8Array[], done: DiskDone): void {
    this.#file.append(commands, done);
  }

  /** Everything that was ever kept has come through the log. */
  clear(): void {
    this.#file.clear();
  }

  /** A few times a second. */
  tick({ cluster, hasQuorum }: CoordinatorStatus, now: MonotonicMs): void {
    this.#since = cluster === undefined || hasQuorum ? undefined : (this.#since ?? now);
    this.#isCut =
      this.#onQuorumLoss === "outbox" && this.#since !== undefined && now - this.#since >= PATIENCE_MS;
    if (now < this.#flushAt) return;
    this.#flushAt = now + FLUSH_EVERY_MS;
    this.#file.flush();
  }

  stop(): void {
    this.#file.close();
  }
}
