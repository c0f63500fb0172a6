/**
 * A server of the exhaustive check: it is what has happened to it, so two with the same history are the same.
 *
 * Its disk is done at once. Time is its own and passes only so far that an election is possible: what it asks of others
 * it may always ask, and it may always vote. Pre-votes and heartbeats promise nothing and are left out.
 */

import {
  EMPTY_STATE,
  type Entry,
  encodeRaftMessage,
  type HardState,
  type RaftEvent,
  type RaftMessage,
  RaftNode,
  type Role,
  type ServerId,
} from "../../src/index.ts";
import type { Disk } from "./small-starts.ts";

export const IDS: readonly ServerId[] = ["a", "b", "c"];
const ELECTION_MS = 10;
const OPTIONS = {
  randomBelow: () => 0,
  heartbeatMs: 1,
  electionMinMs: ELECTION_MS,
  electionMaxMs: 2 * ELECTION_MS,
  // One entry in a message and one message at a time: the most steps in which something can go wrong.
  appendBytesMax: 1,
  inflightMax: 1,
  uncommittedBytesMax: 1_000_000,
  entriesKept: 10,
};

/** What can happen to a server. `campaign`: it has learned of `term` and calls an election after it. */
export type Happening =
  | { readonly kind: "campaign"; readonly term: number }
  | { readonly kind: "receive"; readonly from: ServerId; readonly message: RaftMessage };

export interface Sent {
  readonly to: ServerId;
  readonly message: RaftMessage;
  /** Equal for equal messages of one server to another. */
  readonly key: string;
}

export class SmallServer {
  readonly id: ServerId;
  readonly log: Entry[];
  readonly applied: Entry[] = [];
  readonly sent: Sent[] = [];
  readonly ledTerms: number[] = [];
  role: Role = "follower";
  term: number;
  #now = 0;
  readonly #node: RaftNode;

  constructor(id: ServerId, disk: Disk) {
    const { term } = disk;
    this.id = id;
    this.term = term;
    this.log = disk.log.map((of, i) => ({ index: i + 1, term: of, kind: "empty", data: new Uint8Array(0) }));
    const hardState: HardState = { term, votedFor: IDS[disk.votedFor ?? -1] };
    const configuration = { voters: IDS, votersOutgoing: [], learners: [] };
    const snapshot = { ...EMPTY_STATE.snapshot, configuration };
    const initial = { hardState, snapshot, entries: [...this.log], isSuspect: false };
    this.#node = new RaftNode({ ...OPTIONS, id }, initial, 0);
  }

  happens(happening: Happening): void {
    if (happening.kind === "campaign") {
      this.#campaign(happening.term);
    } else {
      if (happening.message.kind === "requestVote") this.#now += 3 * ELECTION_MS;
      this.#step(happening);
    }
  }

  #campaign(after: number): void {
    const [one, other] = IDS.filter((id) => id !== this.id) as [ServerId, ServerId];
    const answer = (from: ServerId, term: number, granted: boolean) =>
      this.#step({
        kind: "receive",
        from,
        message: { kind: "preVoteReply", term, granted, isSuspect: false },
      });
    // Somebody of that term has refused it once.
    if (after > this.term) answer(one, after, false);
    this.#now = Math.max(this.#now + 3 * ELECTION_MS, this.#node.wakeAt);
    this.#step({ kind: "wake" });
    for (const from of [one, other]) answer(from, after + 1, true);
  }

  #step(event: RaftEvent): void {
    for (const effect of this.#node.step(event, this.#now)) {
      switch (effect.kind) {
        case "persist":
          if (effect.entries[0] !== undefined) this.log.length = effect.entries[0].index - 1;
          this.log.push(...effect.entries);
          for (const { to, message } of effect.sendAfter) this.#send(to, message);
          this.#step({ kind: "persisted", index: effect.index, term: effect.term });
          break;
        case "send":
          this.#send(effect.to, effect.message);
          break;
        case "apply":
          this.applied.push(...effect.entries);
          break;
        case "roleChanged":
          ({ role: this.role, term: this.term } = effect);
          if (effect.role === "leader") this.ledTerms.push(effect.term);
          break;
        default:
          break;
      }
    }
  }

  #send(to: ServerId, message: RaftMessage): void {
    if (message.kind.startsWith("preVote") || message.kind.startsWith("heartbeat")) return;
    const key = `${this.id}>${to} ${String.fromCharCode(...encodeRaftMessage(message))}`;
    this.sent.push({ to, message, key });
  }
}
