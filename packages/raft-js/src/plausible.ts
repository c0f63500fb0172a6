/**
 * Which messages a server looks at. A peer's nonsense is its own fault: it is dropped, and never reaches an assertion.
 */

import { RaftFormatError } from "./bytes.ts";
import { decodeConfiguration } from "./configuration.ts";
import type { RaftMessage } from "./messages.ts";
import type { Entry, StateHash } from "./types.ts";

/** Largest term and index believed: no cluster gets there, and there is room above for those that follow. */
const NUMBER_MAX = 2 ** 48;
/**
 * How far above its own a server believes another's term. Terms rise one election at a time, which takes about a second,
 * and PreVote keeps them from rising in vain: this many is years of elections. A fresh server believes any term.
 */
const TERM_AHEAD_MAX = 1_000_000;
const HASH_TEXT_MAX = 64;

/** True if a server of `term` may have missed all elections up to `messageTerm`. */
export function isReachable(messageTerm: number, term: number): boolean {
  return term === 0 || messageTerm <= term + TERM_AHEAD_MAX;
}

/** True if `message` can have been sent by a server that keeps the rules. */
export function isPlausible(message: RaftMessage): boolean {
  // Who has no term yet can only refuse a pre-vote.
  if (!isCount(message.term) || (message.term === 0 && message.kind !== "preVoteReply")) return false;
  switch (message.kind) {
    case "preVote":
    case "requestVote":
      return (
        isCount(message.lastLogIndex) && isCount(message.lastLogTerm) && message.lastLogTerm < message.term
      );
    case "appendEntries":
      return (
        isCount(message.prevLogIndex) &&
        isCount(message.prevLogTerm) &&
        isCount(message.leaderCommit) &&
        areConsecutive(message.entries, message.prevLogIndex, message.prevLogTerm, message.term)
      );
    case "appendEntriesReply":
      return isCount(message.matchIndex) && isCount(message.hintIndex) && isCount(message.hintTerm);
    case "heartbeat":
      return (
        isCount(message.matchIndex) &&
        isCount(message.matchTerm) &&
        message.matchTerm <= message.term &&
        isCount(message.commit) &&
        message.commit <= message.matchIndex &&
        isCount(message.lastIndex) &&
        message.matchIndex <= message.lastIndex &&
        isCount(message.nonce) &&
        isCount(message.round) &&
        Number.isFinite(message.sentAt)
      );
    case "heartbeatReply":
      return (
        isCount(message.round) &&
        isCount(message.nonce) &&
        Number.isFinite(message.sentAt) &&
        (message.stateHash === undefined || isStateHash(message.stateHash))
      );
    case "installSnapshot": {
      const { offset, totalBytes, data } = message;
      const { index, term, configuration } = message.point;
      const isPiece = isCount(offset) && isCount(totalBytes) && offset + data.length <= totalBytes;
      const isPoint = index > 0 && isCount(index) && isCount(term) && term <= message.term;
      return isPiece && isPoint && configuration.voters.length > 0 && (data.length > 0 || totalBytes === 0);
    }
    case "snapshotChunkReply":
      return isCount(message.index) && isCount(message.offset);
    case "installSnapshotReply":
      return isCount(message.matchIndex);
    case "readIndex":
      return isCount(message.request) && isCount(message.nonce);
    case "readIndexReply":
      return isCount(message.request) && isCount(message.nonce) && isCount(message.index);
    case "stateDiverged":
      return isStateHash(message.stateHash);
    case "snapshotRequest":
      return isCount(message.minIndex);
    case "timeoutNow":
      return true;
    default:
      return true;
  }
}

function areConsecutive(
  entries: readonly Entry[],
  prevIndex: number,
  prevTerm: number,
  term: number,
): boolean {
  // No leader has term 0.
  let lastTerm = Math.max(1, prevTerm);
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i] as Entry;
    if (entry.index !== prevIndex + 1 + i || !isCount(entry.term) || entry.term < lastTerm) return false;
    if (entry.kind === "configuration" && !isConfiguration(entry.data)) return false;
    lastTerm = entry.term;
  }
  return lastTerm <= term && isCount(prevIndex + entries.length);
}

function isConfiguration(bytes: Uint8Array): boolean {
  try {
    return decodeConfiguration(bytes).voters.length > 0;
  } catch (error) {
    if (error instanceof RaftFormatError) return false;
    throw error;
  }
}

function isStateHash({ index, hash }: StateHash): boolean {
  return isCount(index) && hash.length > 0 && hash.length <= HASH_TEXT_MAX;
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= NUMBER_MAX;
}
