/**
 * This node's own commands between the client's PUBLISH and the committed log: numbered, kept until they come back
 * through the log, and sent again until they do.
 *
 * All commands of one turn of the event loop leave together. They go to the leader in order; after a change of leader,
 * when its link comes up, and when nothing has come back for a while (0.5 s, doubling to 4 s) they go again from the
 * oldest. Repeats are harmless: the sequencer takes each number once. While there is no leader they are held.
 *
 * Without a quorum for longer than an election takes they are acknowledged all the same, once they are on this node's disk
 * (outbox-file.ts): that is what an acknowledgement then means. They stay pending, and go to the next leader in their order, also after a
 * restart, where those of the last run go first. What changes the retained store says what its node had seen (state-machine/alone-writes.ts).
 *
 * Bounded: a client is no longer read from when 256 of its messages wait. Beyond 16,384 commands or 16 MiB of all clients (without a
 * quorum: 50,000 or 64 MiB), and while this node's disk is full, a write is refused with 0x97 (Quota exceeded), and one that nobody
 * waits for (QoS 0) is dropped and counted.
 *
 * Nobody sees a write before it is committed: a reader on this node waits for it (current-reads.ts). Only without a
 * quorum does this node show it to its own clients. A refused write is seen by nobody.
 *
 * Source: reference design, section 4.3 rule 1.
 */

import {
  type ApplicationMessage,
  type Clock,
  type ClusterId,
  type Completion,
  type Incarnation,
  isValidTopicName,
  type MonotonicMs,
  type NodeId,
  SAFE_HERE_ONLY,
} from "@skein/kernel";
import { batchFrom } from "../frames.ts";
import type { Stamp } from "../hybrid-clock.ts";
import {
  ALONE_BYTES_MAX,
  type Alone,
  COMMAND_BYTES_MAX,
  type Command,
  isMessage,
  type Operation,
  retainedOperation,
} from "../state-machine/commands.ts";
import {
  decodedOrNothing,
  type Inherited,
  newestOfEach,
  withoutClaim,
  withoutIdle,
  withPlacesBefore,
} from "./inherited.ts";
import { OUTBOX_BYTES_MAX, OUTBOX_COMMANDS_MAX, type Outbox } from "./outbox.ts";
import { OwnWrites } from "./own-writes.ts";
import { grownOlder, mayBeOvertaken, PendingCommand, type Released, unheardIn } from "./pending-command.ts";
import { Unreleased } from "./unreleased.ts";

/** Most commands that are not committed yet. */
const PENDING_COMMANDS_MAX = 16_384;
/** Most bytes of them. */
export const PENDING_BYTES_MAX = 16 * 1024 * 1024;

const RESEND_AFTER_MIN_MS = 500;
const RESEND_AFTER_MAX_MS = 4000;
const SUCCESS = 0x00;
const TOPIC_NAME_INVALID = 0x90;
const QUOTA_EXCEEDED = 0x97;

export interface ProposalsPorts {
  readonly clock: Clock;
  /** Takes commands towards the leader, in order. False: there is no leader now. */
  readonly propose: (commands: readonly Uint8Array[]) => boolean;
  /** This node's disk is full: what is acknowledged could not be kept here. */
  readonly isFull: () => boolean;
  /** A stamp for what is proposed now (hybrid-clock.ts). */
  readonly stamp: (operation: Operation) => Stamp;
  /** How far this node has applied the log of its cluster. */
  readonly applied: () => { readonly cluster: ClusterId | undefined; readonly index: number };
  /** The log of its cluster knows of messages that clients send again. */
  readonly remembersRepeated: () => boolean;
  readonly outbox: Pick<Outbox, "isCut" | "keep" | "clear">;
  /** These are acknowledged without a quorum. */
  readonly released: (commands: readonly Released[]) => void;
}

export class Proposals {
  readonly #node: NodeId;
  readonly #incarnation: Incarnation;
  readonly #ports: ProposalsPorts;
  /** In order of seq, without gaps. */
  readonly #pending: PendingCommand[] = [];
  /** What is still open of the retained store. */
  readonly own = new OwnWrites();
  #pendingBytes = 0;
  #lastSeq = 0;
  /** First command that has not been sent since the last reason to send again. */
  #nextSeq = 1;
  /** First command that had not been sent at all at that time. */
  #firstAfterResend = 1;
  #progressAt = 0;
  #resendAfterMs = RESEND_AFTER_MIN_MS;
  #isFlushScheduled = false;
  /** Of earlier runs, in order: they go before all others. */
  #inherited: readonly Inherited[] = [];
  /** Up to this number commands are acknowledged, or are being put on the disk for that. */
  #releasedThrough = 0;
  #hasKept = false;
  /** Of these the outbox has an older form. */
  readonly #changed = new Set<PendingCommand>();
  readonly #unreleased = new Unreleased();
  #dropped = 0;
  #refused = 0;

  constructor(node: NodeId, incarnation: Incarnation, ports: ProposalsPorts) {
    this.#node = node;
    this.#incarnation = incarnation;
    this.#ports = ports;
  }

  get count(): number {
    return this.#pending.length + this.#inherited.length;
  }

  /**
   * What earlier runs of this node have left on the disk, in order; call before anything is proposed. What they wrote under another
   * identity, of a cluster that has been merged since, is proposed anew as this node's own. Returns when the newest was written.
   */
  inherit(kept: readonly Uint8Array[]): Stamp {
    const commands = withoutIdle(newestOfEach(kept.flatMap(decodedOrNothing)));
    this.#hasKept = kept.length > 0;
    this.#inherited = withPlacesBefore(commands.filter(({ envelope }) => envelope.node === this.#node));
    for (const command of this.#inherited) this.own.add(command);
    this.#proposeAnew(commands.filter(({ envelope }) => envelope.node !== this.#node));
    return commands.reduce((newest, { stamp }) => Math.max(newest, stamp), 0);
  }

  /** What is still open of this node, what earlier runs have left first. */
  *open(): Iterable<Pick<Released, "bytes" | "operation">> {
    yield* this.#inherited;
    yield* this.#pending;
  }

  /** Of what was inherited only this is still open. */
  inheritedLeft(isOpen: (command: Command) => boolean): void {
    if (this.#inherited.length === 0) return;
    this.#inherited = this.#inherited.filter((command) => {
      const isLeft = isOpen(command);
      if (!isLeft) this.own.delete(command);
      return isLeft;
    });
    if (this.#inherited.length > 0) return;
    this.#forgetKept();
    this.sendAgain();
  }

  /** Writes that nobody waited for, dropped because too many were pending. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Writes refused with a reason code. */
  get refused(): number {
    return this.#refused;
  }

  /** Proposes to set, or with an empty payload to delete, a retained message. Returns the parts `done` waits for. */
  put(message: ApplicationMessage, done: Completion | undefined): number {
    if (!isValidTopicName(message.topic)) return this.#refuse(done, TOPIC_NAME_INVALID);
    return this.propose(retainedOperation(message), done);
  }

  /**
   * Proposes any other operation. Returns the parts `done` waits for. `isEssential`: it is about a connection that is there, of which
   * there are not more than clients, so it is taken in any case.
   */
  propose(operation: Operation, done: Completion | undefined, isEssential = false, wasAlone?: Alone): number {
    const envelope = { node: this.#node, incarnation: this.#incarnation, seq: this.#lastSeq + 1 };
    const command = { envelope, stamp: this.#ports.stamp(operation), alone: wasAlone, operation };
    const pending = new PendingCommand(command, done, this.#ports.clock.monotonicMs());
    const { bytes } = pending;
    const isCut = this.#ports.outbox.isCut;
    const isFull =
      this.#ports.isFull() ||
      this.#pending.length >= (isCut ? OUTBOX_COMMANDS_MAX : PENDING_COMMANDS_MAX) ||
      this.#pendingBytes + bytes.length > (isCut ? OUTBOX_BYTES_MAX : PENDING_BYTES_MAX);
    if ((isFull && !isEssential) || bytes.length > COMMAND_BYTES_MAX - ALONE_BYTES_MAX)
      return this.#refuse(done, QUOTA_EXCEEDED);
    this.#lastSeq++;
    this.#pending.push(pending);
    this.#pendingBytes += bytes.length;
    this.own.add(pending);
    this.#scheduleFlush();
    return done === undefined ? 0 : 1;
  }

  /** Without a quorum the client was handed the message of command `seq`, and has it: the log must not bring it again, on whatever node the client is then. */
  had(seq: number, clientId: string): void {
    const pending = this.#pending[seq - this.settledSeq - 1];
    if (pending === undefined || seq > this.#releasedThrough) return;
    const { cluster, index } = this.#ports.applied();
    if (cluster !== undefined) this.#pendingBytes += pending.sayHad(cluster, index, clientId);
    this.#changed.add(pending);
  }

  /** Number of the newest command. */
  get proposedSeq(): number {
    return this.#lastSeq;
  }

  /** Whether this process proposed that command. Of what has been settled it knows no more than that it did. */
  hasProposed({ envelope: { seq }, stamp }: Command): boolean {
    const known = this.#pending[seq - this.settledSeq - 1];
    return seq <= this.#lastSeq && (known === undefined || known.mayHave(stamp));
  }

  /** All commands up to this number have been settled. */
  get settledSeq(): number {
    return (this.#pending[0]?.seq ?? this.#lastSeq + 1) - 1;
  }

  /** All commands up to this number have come through the log, and all that earlier runs have left. */
  isWritten(seq: number): boolean {
    return this.#inherited.length === 0 && this.settledSeq >= seq;
  }

  /** A new leader, or a new link to it: what was sent may be lost. */
  sendAgain(): void {
    this.#firstAfterResend = Math.max(this.#firstAfterResend, this.#nextSeq);
    this.#nextSeq = this.#pending[0]?.seq ?? this.#lastSeq + 1;
    this.#resendAfterMs = RESEND_AFTER_MIN_MS;
    if (this.count > 0) this.#scheduleFlush();
  }

  /**
   * Command `seq` came through the log without those before it, so the leader took none of them when it had them (its disk was full): they go
   * now, not when nothing has come back for too long. But if they have been sent again since, that is under way.
   */
  cameTooEarly(seq: number): void {
    if (seq >= this.#firstAfterResend) this.sendAgain();
  }

  /** Command `seq` and all before it are committed and applied here. `reasonCode`: what `seq` itself is answered. */
  settleThrough(seq: number, reasonCode = SUCCESS): void {
    let oldest = this.#pending[0];
    if (oldest === undefined || oldest.seq > seq) return;
    this.#progressAt = this.#ports.clock.monotonicMs();
    this.#resendAfterMs = RESEND_AFTER_MIN_MS;
    this.#nextSeq = Math.max(this.#nextSeq, seq + 1);
    while (oldest !== undefined && oldest.seq <= seq) {
      this.#pending.shift();
      this.#pendingBytes -= oldest.bytes.length;
      this.own.delete(oldest);
      const { done } = oldest;
      // The disk may still be at it, and would acknowledge it once more.
      oldest.done = undefined;
      const code = oldest.seq === seq ? reasonCode : SUCCESS;
      // A value of the majority may have stayed in its place, so nobody may be told that the mesh has it.
      done?.settle(code === SUCCESS && oldest.mayBePutAside ? SAFE_HERE_ONLY : code);
      oldest = this.#pending[0];
    }
    this.#forgetKept();
  }

  /** Call a few times a second: sends again from the oldest when nothing has come back for too long. */
  tick(now: MonotonicMs): void {
    if (this.count === 0) return;
    this.#keepChanged();
    this.#releaseWhenCut();
    if (now - this.#progressAt < this.#resendAfterMs) return;
    const backoff = Math.min(RESEND_AFTER_MAX_MS, this.#resendAfterMs * 2);
    this.sendAgain();
    this.#resendAfterMs = backoff;
  }

  #proposeAnew(commands: readonly Inherited[]): void {
    for (const { operation, alone } of commands) {
      const own = withoutClaim(operation);
      const wasAlone = alone === undefined ? undefined : { ...alone, seenThrough: 0 };
      if (own !== undefined) this.propose(own, undefined, true, wasAlone);
    }
    this.#releasedThrough = this.#lastSeq;
    if (this.#hasKept) this.#scheduleFlush();
    this.#forgetKept();
  }

  /** If it fails, nothing worse is true than before: somebody may get a message again after the next start. */
  #keepChanged(): void {
    const open = [...this.#changed].filter(({ seq }) => seq > this.settledSeq);
    this.#changed.clear();
    if (open.length > 0)
      this.#ports.outbox.keep(
        open.map(({ bytes }) => bytes),
        () => {},
      );
  }

  #refuse(done: Completion | undefined, reasonCode: number): number {
    if (done === undefined) {
      this.#dropped++;
      return 0;
    }
    this.#refused++;
    this.#ports.clock.atTurnEnd(() => done.settle(reasonCode));
    return 1;
  }

  #scheduleFlush(): void {
    if (this.#isFlushScheduled) return;
    this.#isFlushScheduled = true;
    this.#ports.clock.atTurnEnd(() => {
      this.#isFlushScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#inherited.length > 0) {
      this.#progressAt = this.#ports.clock.monotonicMs();
      for (let at = 0, sent = 1; at < this.#inherited.length && sent > 0; at += sent)
        sent = this.#sendFrom(this.#inherited, at);
      this.#releaseWhenCut();
      return;
    }
    const oldest = this.#pending[0];
    if (oldest === undefined) return;
    let at = Math.max(0, this.#nextSeq - oldest.seq);
    // The clock of "nothing has come back" starts when the oldest is sent: not when it was queued, and not anew with
    // each command after it, or a steady flow of them would keep it waiting for ever.
    if (at === 0) this.#progressAt = this.#ports.clock.monotonicMs();
    while (at < this.#pending.length) {
      this.#pendingBytes += grownOlder(this.#pending, at, this.#ports);
      const sent = this.#sendFrom(this.#pending, at);
      if (sent === 0) {
        this.#releaseWhenCut();
        return;
      }
      // A sole voter with a fast disk may have committed and settled the batch already.
      this.#nextSeq = Math.max(this.#nextSeq, oldest.seq + at + sent);
      at = this.#nextSeq - (this.#pending[0]?.seq ?? this.#nextSeq);
    }
  }

  /** Sends one batch of `commands` from place `at` on. Returns how many; 0: there is no way to a leader. */
  #sendFrom(commands: readonly { readonly bytes: Uint8Array }[], at: number): number {
    const batch = batchFrom(commands, at);
    return this.#ports.propose(batch) ? batch.length : 0;
  }

  /** Acknowledges what waits, if there is no quorum: as soon as it is on the disk. */
  #releaseWhenCut(): void {
    const { outbox, released } = this.#ports;
    if (!outbox.isCut) return;
    const fresh = this.#pending.slice(Math.max(0, this.#releasedThrough - this.settledSeq));
    const last = fresh.at(-1);
    if (last === undefined) return;
    const before = this.#releasedThrough;
    this.#releasedThrough = last.seq;
    this.#hasKept = true;
    const said = fresh.filter(({ operation, isAlone }) => mayBeOvertaken(operation) && !isAlone);
    const unheard = unheardIn(fresh);
    const { cluster, index } = this.#ports.applied();
    if (cluster !== undefined)
      for (const pending of said)
        this.#pendingBytes += pending.sayAlone(cluster, index, !unheard.has(pending));
    for (const pending of this.#ports.remembersRepeated() ? this.#unreleased.take(fresh) : []) {
      this.#pendingBytes += pending.sayReleased();
      this.#changed.add(pending);
    }
    const commands = fresh.map(({ bytes }) => bytes);
    outbox.keep(commands, (error) => {
      if (error !== undefined) {
        // Not acknowledged; tried again with the next tick.
        this.#releasedThrough = Math.min(this.#releasedThrough, before);
        const unsent = Math.max(this.#nextSeq, this.#firstAfterResend);
        for (const pending of said) this.#pendingBytes += pending.takeBack(pending.seq < unsent);
        return;
      }
      for (const pending of fresh) {
        const { done, operation } = pending;
        pending.done = undefined;
        done?.settle(isMessage(operation) ? SAFE_HERE_ONLY : SUCCESS);
      }
      // Its publisher says it again: whoever had it from here would get it twice.
      released(fresh.filter((pending) => !unheard.has(pending)));
    });
  }

  #forgetKept(): void {
    if (!this.#hasKept || this.#inherited.length > 0) return;
    if (this.settledSeq < this.#releasedThrough) return;
    this.#hasKept = false;
    this.#unreleased.clear();
    this.#ports.outbox.clear();
  }
}
