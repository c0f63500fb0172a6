/**
 * One Raft server as a step function: an event and the time go in, effects come out.
 *
 * This file only dispatches: the rules on terms that hold for every message (paper figure 2, "Rules for Servers"), and
 * then by role to follower.ts, candidate.ts and leader.ts. It keeps no clock, no randomness and no I/O of its own, so
 * equal state, event and `now` give equal effects. Prior art: etcd-io/raft `Step`, rabbitmq/ra `ra_server`.
 */

import { assert, unreachable } from "./assert.ts";
import {
  askAgain,
  mayCampaign,
  onPreVoteReply,
  onRequestVoteReply,
  onTimeoutNow,
  ownVotePersisted,
  startPreVote,
} from "./candidate.ts";
import { isSoleVoter, sameConfiguration, serversOf } from "./configuration.ts";
import type { RaftEffect, RaftEvent } from "./events.ts";
import {
  becomeFollower,
  clearSuspicion,
  electionTimeoutMs,
  hearLeader,
  onAppendEntries,
  onHeartbeat,
  onPreVote,
  onRequestVote,
  recover,
  withholdsVotes,
} from "./follower.ts";
import { greet } from "./heartbeats.ts";
import {
  changeConfiguration,
  leaderWakeAt,
  onAppendReply,
  onHeartbeatReply,
  onInstallSnapshotReply,
  onLeaderWake,
  onOwnPersisted,
  onSnapshotRequest,
  propose,
} from "./leader.ts";
import type { RaftMessage } from "./messages.ts";
import type { InitialState, RaftOptions, RaftStatus } from "./options.ts";
import { isPlausible, isReachable } from "./plausible.ts";
import { onReadIndex, onReadIndexReply, requestRead } from "./read-index.ts";
import { Server } from "./server.ts";
import { onInstallSnapshot, onSnapshotChecked } from "./snapshot-receiving.ts";
import { droppableThrough, onChunkReply, onSnapshotSent } from "./snapshot-sending.ts";
import { onStateDiverged } from "./state-hash.ts";
import { ServerStatus } from "./status.ts";
import { onLeaseReleased, transferLeadership } from "./transfer.ts";
import type { Entry, ServerId, SnapshotPoint } from "./types.ts";

/** A Raft server. Step it, carry out the effects in order, and wake it at `wakeAt`. */
export class RaftNode {
  readonly #server: Server;

  /**
   * Starts from what is on disk, at `now` (ms, any origin, never decreasing).
   *
   * @throws {RaftAssertionError} if no server can work with `options`, or none has written what is on disk
   * @throws {RaftFormatError} if a configuration entry on disk cannot be read
   */
  constructor(options: RaftOptions, initial: InitialState, now: number) {
    const server = new Server(options, initial, now);
    this.#server = server;
    // A sole voter has nobody to wait for.
    const isAlone = isSoleVoter(server.log.configuration, server.id) && !server.isIncomplete;
    if (isAlone) server.electionDeadline = now;
    else if (mayCampaign(server)) server.electionDeadline = now + electionTimeoutMs(server);
  }

  /**
   * Handles one event and returns the effects in the order in which they must be carried out.
   *
   * @throws {RaftAssertionError} on a bug here or in the driver; never because of a message.
   */
  step(event: RaftEvent, now: number): readonly RaftEffect[] {
    const server = this.#server;
    assert(now >= server.now, "time went back from", server.now, "to", now);
    server.now = now;
    switch (event.kind) {
      case "wake":
        this.#wake();
        break;
      case "receive":
        this.#receive(event.from, event.message);
        break;
      case "propose":
        propose(server, event.commands);
        break;
      case "changeConfiguration":
        changeConfiguration(server, event);
        break;
      case "persisted":
      case "restored":
        this.#written(event.index, event.term);
        break;
      case "compacted":
        this.#compacted(event.point);
        break;
      case "snapshotChecked":
        onSnapshotChecked(server, event.check, event.isUsable);
        break;
      case "snapshotSent":
        if (server.isLeader) onSnapshotSent(server, event.to, event.ok);
        break;
      case "transferLeadership":
        transferLeadership(server, event.to);
        break;
      case "leaseReleased":
        onLeaseReleased(server, event.transfer);
        break;
      case "readIndex":
        requestRead(server, event.request);
        break;
      case "reachable":
        greet(server, event.server);
        break;
      case "stateHash":
        server.stateHashes.add(event.stateHash);
        break;
      case "recovered":
        recover(server, event.entries, event.isComplete);
        break;
      case "replaceState":
        if (server.isDiverged) server.stateWantedFrom ??= server.log.commitIndex;
        break;
      default:
        unreachable(event);
    }
    return server.takeEffects();
  }

  /** When to step `wake`, in ms; `Infinity` while only others can change anything. Read it after each step. */
  get wakeAt(): number {
    const server = this.#server;
    if (server.role === "leader") return leaderWakeAt(server);
    if (server.role === "follower") return server.electionDeadline;
    return Math.min(server.electionDeadline, server.askAt);
  }

  /** What there is to see. `now` (default: of the last step) matters for the lease of a sole voter only. */
  status(now?: number): RaftStatus {
    return new ServerStatus(this.#server, now ?? this.#server.now);
  }

  /** Index and term of the last entry of the log. */
  get logEnd(): { readonly index: number; readonly term: number } {
    const { lastIndex: index, lastTerm: term } = this.#server.log;
    return { index, term };
  }

  /**
   * The point for the snapshot of an application that has applied everything up to `index`; for `compacted`, too.
   * Undefined if none can stand there: not applied yet, or replaced by a leader's snapshot meanwhile.
   */
  snapshotPoint(index: number): SnapshotPoint | undefined {
    const { log } = this.#server;
    const term = log.termAt(index);
    if (index < log.snapshot.index || index > log.lastApplied || term === undefined) return undefined;
    return { index, term, configuration: log.configurations.at(index) };
  }

  /**
   * The entries that follow the entry (`index`, `term`), as many as fit in `bytesMax` bytes and at least one if there is
   * one. Undefined if this log does not have that entry, or no longer: then it cannot say what follows.
   */
  entriesAfter(index: number, term: number, bytesMax: number): readonly Entry[] | undefined {
    const { log } = this.#server;
    if (log.termAt(index) !== term || !log.holdsFrom(index + 1)) return undefined;
    return log.entriesFrom(index + 1, bytesMax);
  }

  #wake(): void {
    const server = this.#server;
    if (server.role === "leader") {
      onLeaderWake(server);
    } else if (server.now >= server.electionDeadline) {
      if (mayCampaign(server)) {
        startPreVote(server);
      } else {
        becomeFollower(server, server.term, undefined);
        server.electionDeadline = Number.POSITIVE_INFINITY;
      }
    } else if (server.role !== "follower" && server.now >= server.askAt) {
      askAgain(server);
    }
  }

  #receive(from: ServerId, message: RaftMessage): void {
    const server = this.#server;
    if (from === server.id || !isPlausible(message) || !isReachable(message.term, server.term)) {
      server.rejectedMessages++;
      return;
    }
    if (message.term > server.term && !this.#meetsHigherTerm(from, message)) return;
    if (message.term < server.term) this.#meetsLowerTerm(from, message);
    else this.#dispatch(from, message);
  }

  /** Raft §5.1: a higher term makes everyone a follower, with exceptions. Returns false if the message is ignored. */
  #meetsHigherTerm(from: ServerId, message: RaftMessage): boolean {
    const server = this.#server;
    // Neither the question nor a yes is about the present term (thesis 9.6).
    if (message.kind === "preVote") return true;
    if (message.kind === "preVoteReply" && message.granted) return true;
    // Thesis 4.2.3: a server that was removed, or cut off, must not depose a leader that the others hear.
    if (message.kind === "requestVote" && withholdsVotes(server, message)) return false;
    const isReply = message.kind.endsWith("Reply");
    const isFollowers = isReply || message.kind === "snapshotRequest" || message.kind === "readIndex";
    if (isFollowers && !serversOf(server.log.configuration).has(from)) return false;
    becomeFollower(server, message.term, undefined);
    return true;
  }

  /** The sender is behind. It learns the present term, so that a leader of old steps down. */
  #meetsLowerTerm(from: ServerId, message: RaftMessage): void {
    const { term } = this.#server;
    switch (message.kind) {
      case "preVote":
        this.#server.send(from, { kind: "preVoteReply", term, granted: false, isSuspect: false });
        break;
      case "requestVote":
        this.#server.send(from, { kind: "requestVoteReply", term, granted: false, isSuspect: false });
        break;
      case "appendEntries":
      case "heartbeat":
      case "installSnapshot":
        this.#server.send(from, {
          kind: "heartbeatReply",
          term,
          sentAt: 0,
          round: 0,
          nonce: 0,
          stateHash: undefined,
        });
        break;
      default:
        // Late answers to questions of an earlier term.
        break;
    }
  }

  #dispatch(from: ServerId, message: RaftMessage): void {
    const server = this.#server;
    switch (message.kind) {
      case "preVote":
        onPreVote(server, from, message);
        break;
      case "requestVote":
        onRequestVote(server, from, message);
        break;
      case "preVoteReply":
        onPreVoteReply(server, from, message);
        break;
      case "requestVoteReply":
        onRequestVoteReply(server, from, message);
        break;
      case "appendEntries":
        if (hearLeader(server, from)) onAppendEntries(server, from, message);
        break;
      case "heartbeat":
        if (hearLeader(server, from)) onHeartbeat(server, from, message);
        break;
      case "installSnapshot":
        if (hearLeader(server, from)) onInstallSnapshot(server, from, message);
        break;
      case "appendEntriesReply":
        if (server.isLeader) onAppendReply(server, from, message);
        break;
      case "heartbeatReply":
        if (server.isLeader) onHeartbeatReply(server, from, message);
        break;
      case "snapshotChunkReply":
        if (server.isLeader) onChunkReply(server, from, message.index, message.offset);
        break;
      case "snapshotRequest":
        if (server.isLeader) onSnapshotRequest(server, from, message.minIndex);
        break;
      case "readIndex":
        if (server.isLeader) onReadIndex(server, from, message);
        break;
      case "readIndexReply":
        onReadIndexReply(server, from, message);
        break;
      case "timeoutNow":
        if (hearLeader(server, from)) onTimeoutNow(server);
        break;
      case "stateDiverged":
        if (hearLeader(server, from)) onStateDiverged(server, message.stateHash);
        break;
      case "installSnapshotReply":
        if (server.isLeader) onInstallSnapshotReply(server, from, message.matchIndex);
        break;
      default:
        // Decoded by another version of this program: not understood, not answered.
        break;
    }
  }

  /** A write is safe: it may have carried this candidate's own vote, or entries the leader counts on. */
  #written(index: number, term: number): void {
    const server = this.#server;
    const done = server.writes.completed(index, term);
    const isOwnVoteSafe = done.some(
      ({ hardState }) => hardState?.term === server.term && hardState.votedFor === server.id,
    );
    if (server.role === "candidate" && isOwnVoteSafe) ownVotePersisted(server);
    if (server.isLeader) onOwnPersisted(server);
    clearSuspicion(server);
  }

  #compacted(point: SnapshotPoint): void {
    const { log } = this.#server;
    if (point.index <= log.snapshot.index) return;
    assert(
      point.index <= log.lastApplied,
      "a snapshot of what is not applied:",
      point.index,
      log.lastApplied,
    );
    const own = log.configurations.at(point.index);
    assert(
      sameConfiguration(point.configuration, own),
      `snapshot at ${point.index} has another configuration`,
    );
    log.compact(point, droppableThrough(this.#server, point.index));
  }
}
