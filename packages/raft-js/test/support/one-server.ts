/** One server under the microscope: its disk completes when the test says so, and what it sends is collected. */

import {
  type Configuration,
  EMPTY_STATE,
  type Entry,
  encodeConfiguration,
  type InitialState,
  type Outgoing,
  type RaftEffect,
  type RaftEvent,
  type RaftMessage,
  RaftNode,
  type RaftOptions,
  type ServerId,
  type Snapshot,
} from "../../src/index.ts";

export const OPTIONS: Omit<RaftOptions, "id"> = {
  randomBelow: () => 0,
  heartbeatMs: 100,
  electionMinMs: 1000,
  electionMaxMs: 2000,
  appendBytesMax: 1000,
  inflightMax: 4,
  uncommittedBytesMax: 10_000,
  entriesKept: 2,
};

/** A log from its terms: `[1, 1, 2]` is three commands; the data of entry i is the byte i. */
export function logOf(terms: readonly number[], firstIndex = 1): Entry[] {
  return terms.map((term, i) => ({
    index: firstIndex + i,
    term,
    kind: "command",
    data: Uint8Array.of(firstIndex + i),
  }));
}

/** A configuration entry. */
export function change(index: number, term: number, configuration: Configuration): Entry {
  return { index, term, kind: "configuration", data: encodeConfiguration(configuration) };
}

export function voters(...ids: readonly ServerId[]): Configuration {
  return { voters: ids, votersOutgoing: [], learners: [] };
}

export interface Start {
  readonly id?: ServerId;
  readonly term?: number;
  readonly votedFor?: ServerId;
  readonly configuration?: Configuration;
  /** The log behind index 0 of the configuration. */
  readonly entries?: readonly Entry[];
  readonly snapshot?: InitialState["snapshot"];
  readonly isSuspect?: boolean;
  readonly isIncomplete?: boolean;
  readonly commitIndex?: number;
  readonly options?: Partial<RaftOptions>;
}

type VoteRequest = Extract<RaftMessage, { readonly kind: "preVote" | "requestVote" }>;
type Kind = RaftMessage["kind"];
type MessageOf<K extends Kind> = Extract<RaftMessage, { readonly kind: K }>;

export class OneServer {
  readonly node: RaftNode;
  now = 0;
  /** What it says of snapshots, at once; undefined: the test steps `snapshotChecked` itself. */
  verdict: ((data: Uint8Array) => boolean) | undefined = () => true;
  /** Writes not completed, oldest first. */
  readonly writes: (RaftEffect & { readonly kind: "persist" | "restore" })[] = [];
  /** Everything sent and not yet taken. */
  #sent: Outgoing[] = [];
  #effects: RaftEffect[] = [];

  constructor(start: Start = {}) {
    const configuration = start.configuration ?? voters("a", "b", "c");
    const lastTerm = start.entries?.at(-1)?.term ?? start.snapshot?.term ?? 0;
    const initial: InitialState = {
      hardState: { term: start.term ?? lastTerm, votedFor: start.votedFor },
      snapshot: start.snapshot ?? { ...EMPTY_STATE.snapshot, configuration },
      entries: start.entries ?? [],
      isSuspect: start.isSuspect ?? false,
      isIncomplete: start.isIncomplete ?? false,
      commitIndex: start.commitIndex ?? 0,
    };
    this.node = new RaftNode({ ...OPTIONS, id: start.id ?? "a", ...start.options }, initial, 0);
  }

  get status() {
    return this.node.status(this.now);
  }

  step(event: RaftEvent): readonly RaftEffect[] {
    const effects = [...this.node.step(event, this.now)];
    for (const effect of effects) {
      if (effect.kind === "checkSnapshot" && this.verdict !== undefined) {
        const { check, snapshot } = effect;
        const checked = { kind: "snapshotChecked", check, isUsable: this.verdict(snapshot.data) } as const;
        // The list grows while it is worked off.
        effects.push(...this.node.step(checked, this.now));
      }
      if (effect.kind === "send") this.#sent.push(effect);
      if (effect.kind === "persist" || effect.kind === "restore") this.writes.push(effect);
    }
    this.#effects.push(...effects);
    return effects;
  }

  receive(from: ServerId, message: RaftMessage): readonly RaftEffect[] {
    return this.step({ kind: "receive", from, message });
  }

  /** Completes the oldest write. */
  completeWrite(): void {
    const write = this.writes.shift()!;
    this.#sent.push(...write.sendAfter);
    if (write.kind === "persist") this.step({ kind: "persisted", index: write.index, term: write.term });
    else this.step({ kind: "restored", index: write.snapshot.index, term: write.snapshot.term });
  }

  /** Completes all writes, those they lead to included. */
  completeWrites(): this {
    while (this.writes.length > 0) this.completeWrite();
    return this;
  }

  /** Goes to `now` and wakes at every `wakeAt` on the way. */
  sleepUntil(now: number): this {
    while (this.node.wakeAt <= now) {
      this.now = Math.max(this.now, this.node.wakeAt);
      this.step({ kind: "wake" });
    }
    this.now = now;
    return this;
  }

  /** Everything sent since the last call. */
  takeSent(): Outgoing[] {
    const sent = this.#sent;
    this.#sent = [];
    return sent;
  }

  /** The messages of one kind among everything sent since the last call. */
  take<K extends Kind>(kind: K, to?: ServerId): MessageOf<K>[] {
    return this.takeSent()
      .filter((out) => out.message.kind === kind && (to === undefined || out.to === to))
      .map((out) => out.message as MessageOf<K>);
  }

  /** Effects of one kind since the last call of this. */
  takeEffects<K extends RaftEffect["kind"]>(kind: K): Extract<RaftEffect, { readonly kind: K }>[] {
    const effects = this.#effects.filter((effect) => effect.kind === kind);
    this.#effects = [];
    return effects as Extract<RaftEffect, { readonly kind: K }>[];
  }

  /** Waits for the election timeout, wins the pre-vote of `friends`, and asks for votes. Sent messages stay. */
  campaign(...friends: readonly ServerId[]): this {
    this.sleepUntil(this.node.wakeAt);
    const term = this.status.term + 1;
    for (const friend of friends)
      this.receive(friend, { kind: "preVoteReply", term, granted: true, isSuspect: false });
    this.completeWrites();
    return this;
  }

  /** Becomes leader with the votes of `friends`; its no-op is on its own disk. */
  lead(...friends: readonly ServerId[]): this {
    this.campaign(...friends);
    const { term } = this.status;
    for (const friend of friends)
      this.receive(friend, { kind: "requestVoteReply", term, granted: true, isSuspect: false });
    this.completeWrites();
    return this;
  }

  /** `from` has everything up to `matchIndex`. */
  acknowledge(from: ServerId, matchIndex = this.status.lastIndex): readonly RaftEffect[] {
    const { term } = this.status;
    return this.receive(from, {
      kind: "appendEntriesReply",
      term,
      success: true,
      matchIndex,
      hintIndex: 0,
      hintTerm: 0,
    });
  }

  propose(...bytes: readonly number[]): readonly RaftEffect[] {
    return this.step({ kind: "propose", commands: bytes.map((byte) => Uint8Array.of(byte)) });
  }
}

/** The leader counts on the receiver for the entries up to `commit`, the last of which is of `matchTerm`. */
export function heartbeat(
  term: number,
  commit = 0,
  { sentAt = 0, matchTerm = commit === 0 ? 0 : term } = {},
): MessageOf<"heartbeat"> {
  const known = { commit, matchIndex: commit, matchTerm, lastIndex: commit, nonce: 0 };
  return { kind: "heartbeat", term, ...known, sentAt, round: 0 };
}

export function appendEntries(
  term: number,
  prevLogIndex: number,
  prevLogTerm: number,
  entries: readonly Entry[] = [],
  leaderCommit = 0,
): RaftMessage {
  return { kind: "appendEntries", term, prevLogIndex, prevLogTerm, entries, leaderCommit };
}

export function requestVote(term: number, lastLogIndex = 0, lastLogTerm = 0): VoteRequest {
  return { kind: "requestVote", term, lastLogIndex, lastLogTerm, isTransfer: false };
}

export function preVote(term: number, lastLogIndex = 0, lastLogTerm = 0): RaftMessage {
  return { kind: "preVote", term, lastLogIndex, lastLogTerm, isTransfer: false };
}

/** A snapshot in one piece. */
export function whole(term: number, { data, ...point }: Snapshot): RaftMessage {
  return { kind: "installSnapshot", term, point, totalBytes: data.length, offset: 0, data };
}
