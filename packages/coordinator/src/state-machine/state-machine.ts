/**
 * What every node computes from the log, entry by entry, with the same result everywhere.
 *
 * A command is decoded as a whole, judged by the sequencer, then carried out; malformed, repeated or fenced commands
 * change nothing and are counted. Commands about clusters are judged by clusters.ts instead. While this cluster is dissolved
 * no proposer's command counts, and none takes its place in its sequence: they are `held`, and sent again if the cluster
 * resumes. No clock, no randomness, no order of arrival enters here (reference design, trap 11): equal logs give
 * byte-equal snapshots. What is kept is copied, so that a retained message of 20 bytes does not hold on to the link buffer of
 * 64 KiB it came in.
 */

import { type ApplicationMessage, ByteWriter, SkeinError } from "@skein/kernel";
import type { Configuration } from "raft-js";
import { type Stamp, stampAfter } from "../hybrid-clock.ts";
import { atOnce, type Pieces } from "../pieces.ts";
import { writeNodeId } from "../wire-ids.ts";
import { type AloneWrite, writeAlone } from "./alone-writes.ts";
import type { Applied } from "./applied.ts";
import { type ClusterCommand, decodeClusterCommand, isClusterCommand } from "./cluster-commands.ts";
import { Clusters } from "./clusters.ts";
import { writeClusters } from "./clusters-codec.ts";
import { type Command, decodeCommand, deletionOf, inForce, lastPlaceOf, topicOf } from "./commands.ts";
import { Conflicts } from "./conflicts.ts";
import { type DecodedState, decodeState, file } from "./decoded-state.ts";
import { expiryOf, unexpired } from "./expiry.ts";
import { FIRST_LOG_VERSION, NEWEST_LOG_VERSION, unknownVersion } from "./log-version.ts";
import { forkIndex, isSessionItem, readItems, topicsOf } from "./merge-export.ts";
import { askedBy, RecentPublications } from "./recent-publications.ts";
import { type RetainedItem, RetainedState } from "./retained-state.ts";
import { inParts, type SnapshotInParts, wholeInPieces } from "./saving.ts";
import { Sequencer } from "./sequencer.ts";
import { carryOutSession } from "./sessions/carry-out.ts";
import type { Publication, SessionOutcome } from "./sessions/publishing-port.ts";
import { noSessions } from "./sessions/sessions-snapshot.ts";
import { SessionsState } from "./sessions/sessions-state.ts";
import { StagedSessions } from "./sessions/staged-sessions.ts";
import { itemHash } from "./set-hash.ts";
import type { DecodeOptions } from "./snapshot.ts";
import { StoreLimits } from "./store-limits.ts";
import { type MergeTarget, ownCopy, takeItem } from "./take-merge.ts";
import { Tombstones } from "./tombstones.ts";

const MALFORMED: Applied = { outcome: "malformed", command: undefined };

export class StateMachine {
  readonly sequencer = new Sequencer();
  readonly retained = new RetainedState();
  readonly tombstones = new Tombstones();
  readonly clusters = new Clusters();
  /** Commands by outcome since start; not part of the replicated state. */
  readonly outcomes = {
    applied: 0,
    passed: 0,
    full: 0,
    stale: 0,
    repeated: 0,
    gap: 0,
    fenced: 0,
    malformed: 0,
    held: 0,
    void: 0,
  };
  /** For lengths and hashes of encoded messages. */
  readonly #measure = new ByteWriter(1024);
  readonly conflicts = new Conflicts(this.#measure);
  readonly sessions = new SessionsState({
    retained: (filter, visit) => {
      this.retained.match(filter, (item) => {
        const message = unexpired(item, this.sessions.time.elapsed);
        if (message !== undefined) visit(message);
      });
    },
    retain: (message) => this.#retain(message),
    alone: () => this.#alone,
    remembersRepeated: () => this.remembersRepeated,
    index: () => this.#index,
    owedBytesMax: () => this.limits.owedBytesMax,
  });
  readonly staged = new StagedSessions();
  readonly limits = new StoreLimits();
  readonly recent = new RecentPublications();
  readonly #slabBytes: number | undefined;
  readonly #known: number;
  #version = FIRST_LOG_VERSION;
  #newest: Stamp = 0;
  /** Of the command under way. */
  #index = 0;
  /** The command under way was acknowledged without a quorum. */
  #alone: AloneWrite | undefined;

  /**
   * @param slabBytes how this replica packs what is owed (owed-messages.ts); not part of the replicated state
   * @param known the newest version of the log that this program knows
   */
  constructor(slabBytes?: number, known = NEWEST_LOG_VERSION) {
    this.#slabBytes = slabBytes;
    this.#known = known;
    this.sessions.restore(noSessions(slabBytes));
  }

  /** Of the log and of snapshots, in force since an entry said so (log-version.ts). */
  get version(): number {
    return this.#version;
  }

  /** A version that this program does not know is in force: what this replica makes of the log from there on is wrong. */
  get outdated(): SkeinError | undefined {
    return this.#version > this.#known ? unknownVersion(this.#version, this.#known) : undefined;
  }

  /** The newest stamp that anything here was written at. */
  get newest(): Stamp {
    return this.#newest;
  }

  /** Every member of this cluster knows QoS 2 messages that came with DUP, and snapshots that say so. */
  get remembersRepeated(): boolean {
    return this.#version > FIRST_LOG_VERSION;
  }

  /** Carries out the command `bytes` of the log entry `index`. Never throws on what stands in the log. */
  apply(bytes: Uint8Array, index: number): Applied {
    this.#index = index;
    const applied = orUndefined(() => {
      return isClusterCommand(bytes) ? this.#takeClusters(bytes, index) : this.#take(bytes, index);
    });
    this.outcomes[applied?.outcome ?? "malformed"]++;
    if (!this.#standsStill) {
      this.retained.expire(this.sessions.time.elapsed, (item) => this.#expired(item));
      this.sessions.advance();
    }
    const publications = this.sessions.takePublications();
    if (applied !== undefined) this.#remember(publications, applied, bytes);
    const sessions = this.sessions.takeChanged();
    const passed = this.sessions.passed.take();
    if (publications.length === 0 && sessions.size === 0 && passed.length === 0) return applied ?? MALFORMED;
    return { ...(applied ?? MALFORMED), publications, sessions, passed };
  }

  /** A configuration stands in the log: these nodes have a replica. */
  setMembers({ voters, votersOutgoing, learners }: Configuration): void {
    this.limits.keepOnly(new Set([...voters, ...votersOutgoing, ...learners]));
  }

  /** The state as bytes; equal states give equal bytes. */
  snapshot(): Uint8Array {
    return atOnce(this.snapshotInPieces());
  }

  /** The same, as the state is now, in steps of some milliseconds between which it may change. */
  snapshotInPieces(): Generator<undefined, Uint8Array> {
    return wholeInPieces(this);
  }

  /** The same for the disk of this node, with messages that are owed apart from the rest. */
  snapshotInParts(): SnapshotInParts {
    return inParts(this);
  }

  /** The state in short: equal states give equal texts. Cheap: a few rows are looked at, no messages. */
  stateHash(): string {
    const out = this.#measure.reset();
    out.varint(this.retained.count).varint(this.retained.bytes).varint(this.retained.hash);
    out.varint(this.tombstones.count).varint(this.#newest);
    if (this.tombstones.forgotten.index > 0) out.varint(this.tombstones.forgotten.index);
    out.varint(this.conflicts.count).varint(this.conflicts.lastId);
    out.varint(this.sessions.count).varint(this.sessions.owed.bytes).varint(this.sessions.hash.value);
    out.varint(this.staged.count).varint(this.limits.owedBytesMax);
    if (this.#version > FIRST_LOG_VERSION) out.varint(this.#version);
    writeClusters(this.clusters.state(), out);
    for (const row of this.sequencer.rows()) {
      writeNodeId(row.node, out);
      out.varint(row.incarnation).varint(row.last).varint(row.index);
    }
    return itemHash(out.finish()).toString(16);
  }

  /** Replaces the state. `parts`: of one that was saved in parts. Changes nothing if it throws. @throws {SkeinError} ERR_SKEIN_MALFORMED, ERR_SKEIN_VERSION */
  restore(bytes: Uint8Array, parts?: readonly Uint8Array[]): void {
    this.takeOver(atOnce(this.decode(bytes, { parts })));
  }

  /** A state for {@link takeOver}, as {@link restore} reads it, in pieces; this machine's own may change meanwhile. */
  decode(bytes: Uint8Array, options?: Pick<DecodeOptions, "parts" | "pieceBytes">): Pieces<DecodedState> {
    return decodeState(bytes, { ...options, slabBytes: this.#slabBytes, known: this.#known });
  }

  /** Replaces the state by one that {@link decode} has read, and that belongs to this machine from then on. */
  takeOver(state: DecodedState): void {
    this.sequencer.restore(state.proposers);
    this.retained.takeOver(state.retained);
    this.tombstones.restore(state.tombstones, state.forgotten);
    const conflicts = state.conflicts.map((conflict) => {
      return { ...conflict, message: ownCopy(conflict.message) };
    });
    this.conflicts.restore(conflicts, state.lastConflict, state.droppedConflicts);
    this.clusters.restore(state.clusters);
    this.limits.restore(state.limits);
    this.recent.restore(state.recent);
    this.sessions.restore(state.sessions);
    this.staged.restore(state.staged);
    this.#newest = state.newest;
    this.#version = state.version;
  }

  #remember(publications: readonly Publication[], applied: Applied, bytes: Uint8Array): void {
    if (publications.length === 0) return;
    const place = { index: this.#index, at: this.sessions.time.elapsed };
    const operation = applied.command?.operation;
    const by = askedBy(applied);
    for (const publication of publications) {
      const isOwn = operation?.kind === "publishOnce" && operation.message === publication.message;
      this.recent.add(publication, by, isOwn ? bytes : undefined, place);
    }
  }

  /** A dissolved cluster is handed over as it was at the cut: no time passes in it, and nobody leaves. */
  get #standsStill(): boolean {
    return this.clusters.dissolution !== undefined;
  }

  #take(bytes: Uint8Array, index: number): Applied {
    const command = inForce(decodeCommand(bytes), this.remembersRepeated);
    if (this.#standsStill) return { outcome: "held", command };
    const verdict = this.sequencer.take(command.envelope, index, lastPlaceOf(command));
    if (verdict !== "next") return { outcome: verdict, command };
    this.#advance(command.stamp);
    const { alone } = command;
    this.#alone = alone === undefined ? undefined : { ...alone, author: command.envelope.node };
    const { lastId } = this.conflicts;
    const outcome = this.#carryOut(command);
    this.#alone = undefined;
    if (this.conflicts.lastId === lastId) return { outcome, command };
    return { outcome, command, outdated: topicOf(command.operation) };
  }

  #carryOut({ operation, envelope, stamp }: Command): SessionOutcome {
    switch (operation.kind) {
      case "retainedDelete":
        this.#retain(deletionOf(operation.topic));
        return "applied";
      case "retainedSet":
        return this.#retain(operation.message) ? "applied" : "full";
      case "skip":
        return "applied";
      case "storeLimit":
        this.limits.set(envelope.node, operation.owedBytesMax);
        return "applied";
      case "conflictsClear":
        this.conflicts.clearThrough(operation.through);
        return "applied";
      case "mergeApprove":
        this.clusters.approve(operation.cluster);
        return "applied";
      default:
        return carryOutSession(this.sessions, operation, envelope, stamp, this.#newest);
    }
  }

  #advance(stamp: Stamp): void {
    const before = this.#newest;
    this.#newest = stampAfter(before, stamp);
    if (!this.#standsStill) this.sessions.time.advance(before, this.#newest);
  }

  /** An empty payload deletes [MQTT-3.3.1-6]. False: there is no room. */
  #retain(message: ApplicationMessage): boolean {
    const written = { stamp: this.#newest, index: this.#index };
    const expiresAt = expiryOf(message, this.sessions.time.elapsed);
    if (this.#alone !== undefined) {
      writeAlone({ message, expiresAt }, this.#alone, written, this.#target);
      return true;
    }
    if (message.payload.length > 0) return this.#set({ message: ownCopy(message), ...written, expiresAt });
    this.retained.delete(message.topic);
    this.tombstones.add(message.topic, written);
    return true;
  }

  get #target(): MergeTarget {
    const { retained, tombstones, conflicts, clusters } = this;
    const set = (item: RetainedItem): boolean => this.#set(item);
    return { retained, tombstones, conflicts, clusters, set, measure: this.#measure };
  }

  #takeClusters(bytes: Uint8Array, index: number): Applied {
    const clusterCommand = decodeClusterCommand(bytes);
    const result = { command: undefined, clusterCommand };
    if (clusterCommand.kind === "merge") {
      const topics = this.#merge(clusterCommand, index);
      return topics === undefined
        ? { outcome: "void", ...result }
        : { outcome: "applied", ...result, topics };
    }
    if (clusterCommand.kind === "merged") {
      const refused = this.#merged(clusterCommand, index);
      return refused === undefined
        ? { outcome: "void", ...result }
        : { outcome: "applied", ...result, refused };
    }
    return { outcome: this.#changeClusters(clusterCommand, index) ? "applied" : "void", ...result };
  }

  #changeClusters(command: Exclude<ClusterCommand, { kind: "merge" | "merged" }>, index: number): boolean {
    const { clusters } = this;
    switch (command.kind) {
      case "tick": {
        const isLater = command.stamp > this.#newest;
        if (isLater) this.#advance(command.stamp);
        return clusters.growOlder(command.ageMinutes) || isLater;
      }
      case "fork":
        clusters.fork({ cluster: command.parent, index: command.index });
        this.staged.clear();
        return true;
      case "dissolve":
        return clusters.dissolve({ winner: command.winner, cut: index, chunkBytes: command.chunkBytes });
      case "resume":
        return clusters.resume(command.cut);
      case "mergeAbort":
        if (!clusters.abort(command.loser, command.cut, index)) return false;
        this.staged.take(command.loser);
        return true;
      case "nodeDown":
        return !this.#standsStill && this.sessions.nodeGone(command.node, command.incarnation);
      case "version":
        if (command.version <= this.#version) return false;
        this.#version = command.version;
        return true;
    }
  }

  /** Takes one chunk in. Undefined: it is not its turn. */
  #merge(command: ClusterCommand & { kind: "merge" }, index: number): readonly string[] | undefined {
    const { winner, loser, cut, chunk, isLast, shift } = command;
    const items = readItems(command.bytes);
    if (!this.clusters.isNext(loser, cut, chunk)) return undefined;
    this.staged.put(loser, items.filter(isSessionItem), chunk === 0);
    this.#advance(command.stamp);
    const topics = items.flatMap(topicsOf);
    const forkedAt = forkIndex(items, winner);
    const row = this.clusters.took(
      { cluster: loser, cut, isComplete: isLast, shift, forkedAt },
      topics.length,
      index,
    );
    const { elapsed } = this.sessions.time;
    const context = { winner, row, newest: this.#newest, elapsed, index };
    for (const item of items) takeItem(item, this.#target, context);
    return topics;
  }

  /** The other cluster's sessions begin to live in this one. Undefined: not yet, or they do. */
  #merged({ loser, cut }: ClusterCommand & { kind: "merged" }, index: number): number | undefined {
    if (!this.clusters.merged(loser, cut, index)) return undefined;
    const { shift = 0, forkedAt = 0 } = this.clusters.row(loser) ?? {};
    const { parent } = this.clusters;
    const commonThrough = forkedAt === 0 && parent?.cluster === loser ? parent.index : forkedAt;
    const terms = { shift, newest: this.#newest, commonThrough, index };
    return this.sessions.takeIn(this.staged.take(loser), terms);
  }

  /** Nothing that was written before it is served again: in a merge its topic counts as deleted when it was written. */
  #expired({ message, stamp, index, alone }: RetainedItem): void {
    this.tombstones.add(message.topic, { stamp, index, alone });
  }

  #set(item: RetainedItem): boolean {
    if (!file(item, this.retained, this.#measure)) return false;
    this.tombstones.delete(item.message.topic);
    return true;
  }
}

/** The log is replicated as it is: every node finds the same entry malformed and skips it. */
function orUndefined(take: () => Applied): Applied | undefined {
  try {
    return take();
  } catch (error) {
    if (error instanceof SkeinError) return undefined;
    throw error;
  }
}
