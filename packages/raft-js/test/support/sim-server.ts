/** What a simulation keeps of one server: its disk and clock, which outlive a crash, and its node, which does not. */

import type {
  Configuration,
  Outgoing,
  RaftEvent,
  RaftNode,
  Role,
  ServerId,
  Snapshot,
} from "../../src/index.ts";
import { LogMirror } from "./checkers.ts";
import { SimDisk } from "./sim-disk.ts";

export class SimServer {
  readonly id: ServerId;
  readonly disk = new SimDisk();
  readonly log = new LogMirror();
  node: RaftNode | undefined;
  /** As its effects have told so far. */
  role: Role = "follower";
  term = 0;
  configuration: Configuration = { voters: [], votersOutgoing: [], learners: [] };
  /** The configuration that it applied last, since its start. */
  settled: Configuration | undefined;
  /** Applied commands in order, as numbers; what the state machine is. */
  state: number[] = [];
  appliedIndex = 0;
  /** Counts restarts: what an earlier life started must not reach this one. */
  life = 0;
  /** When its present wake-up is due, in true ms. */
  wakeAt = Number.POSITIVE_INFINITY;
  /** The process stands still until then, in true ms. */
  pausedUntil = Number.NEGATIVE_INFINITY;
  /** A transfer is under way, and its driver still holds until then, in ms of its clock, what the lease protected. */
  holding: { readonly transfer: number; readonly until: number } | undefined;
  /** What follows each write under way, oldest first. */
  readonly writes: {
    readonly sendAfter: readonly Outgoing[];
    readonly done: RaftEvent;
    readonly safe: () => void;
  }[] = [];
  /** A snapshot of its own is being written. */
  isSaving = false;
  /** The snapshots that others are being sent. */
  readonly sentSnapshots = new Map<ServerId, { readonly snapshot: Snapshot; readonly isKept: boolean }>();
  /** The saved one was too old for a follower. */
  isSnapshotWanted = false;
  /** Its state was changed behind its back, and in some life it was. */
  isWrong = false;
  hasBeenWrong = false;
  /** Its reads, numbered from 0 in each life: what had been applied anywhere when each was asked. */
  readonly reads = new Map<number, number>();
  /** Whose piece of a snapshot came last. */
  pieceFrom: ServerId | undefined;
  /** Its clock shows `offset + rate * true ms`. */
  readonly #rate: number;
  readonly #offset: number;
  readonly #tag: number;

  constructor(id: ServerId, tag: number, rate: number, offset: number) {
    this.id = id;
    this.#tag = tag;
    this.#rate = rate;
    this.#offset = offset;
  }

  /** What its clock shows at the true time `now`. */
  clock(now: number): number {
    return this.#offset + this.#rate * now;
  }

  /** The first whole true ms at which its clock shows `local` or more. */
  trueTime(local: number): number {
    return Math.ceil((local - this.#offset) / this.#rate + 1e-6);
  }

  /** Until when, on its clock, it relies on leading alone; -Infinity if it does not. */
  leaseUntil(now: number): number {
    const held = this.holding?.until ?? Number.NEGATIVE_INFINITY;
    if (this.role !== "leader") return held;
    return Math.max(this.node?.status(this.clock(now)).leaseUntil ?? Number.NEGATIVE_INFINITY, held);
  }

  /** The state in this server's own way of writing it: two servers' snapshots of equal states are not equal bytes. */
  encodeState(): Uint8Array {
    return Uint8Array.from([this.#tag, ...this.state.map((value) => value ^ this.#tag)]);
  }
}

export function decodeState(data: Uint8Array): number[] {
  return [...data.subarray(1)].map((value) => value ^ (data[0] ?? 0));
}
