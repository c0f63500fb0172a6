/**
 * Which messages a server looks at. A peer's nonsense is its own fault: it is dropped, and never reaches an assertion.
 */

import { RaftFormatError } from "./bytes.ts";
import { decodeConfiguration } from "./configuration.ts";
import type { RaftMessage } from "./messages.ts";
import type { Entry } from "./types.ts";

/** Largest term and index believed: no cluster gets there, and there is room above for those that follow. */
const NUMBER_MAX = 2 ** 48;

/** True if `message` can have been sent by a server that keeps the rules. */
export function isPlausible(message: RaftMessage): boolean {
  if (!isCount(message.term) || message.term === 0) return false;
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
      return isCount(message.commit) && Number.isFinite(message.sentAt);
    case "heartbeatReply":
      return Number.isFinite(message.sentAt);
    case "installSnapshot": {
      const { index, term, configuration } = message.snapshot;
      return (
        index > 0 &&
        isCount(index) &&
        isCount(term) &&
        term <= message.term &&
        configuration.voters.length > 0
      );
    }
    case "installSnapshotReply":
      return isCount(message.matchIndex);
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
  let lastTerm = prevTerm;
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

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= NUMBER_MAX;
}
