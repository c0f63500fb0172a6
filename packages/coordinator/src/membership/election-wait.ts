/**
 * Why there is no coordinator although a majority may be there: who lost power votes only together with all voters, because the
 * one that is missing may hold what the others have lost (raft-js, quorum.ts). Said in the status and in the log.
 */

import type { Log, MonotonicMs, NodeId } from "@skein/kernel";
import type { RaftStatus } from "raft-js";
import type { KnownNodes } from "./known-nodes.ts";

const SAY_AGAIN_MS = 60_000;

/** An election waits for every voter, and these did not answer. */
export interface ElectionWait {
  /** This node is one of those that may have lost something. */
  readonly isSuspect: boolean;
  readonly voters: readonly AwaitedVoter[];
}

interface AwaitedVoter {
  readonly id: NodeId;
  /** Undefined: it was never heard of. */
  readonly name: string | undefined;
  readonly isLinked: boolean;
  /** Clock.monotonicMs; undefined: not since this node started. */
  readonly lostAt: MonotonicMs | undefined;
}

/**
 * What this node waits for according to Raft, or before it even takes part in elections (`missed`, mending.ts); undefined:
 * nothing.
 */
export function electionWait(
  raft: RaftStatus,
  missed: readonly NodeId[],
  known: KnownNodes,
): ElectionWait | undefined {
  const awaited = raft.isIncomplete ? missed : (raft.awaited as readonly NodeId[]);
  if (awaited.length === 0) return undefined;
  const voters = awaited.map((id) => {
    return { id, name: known.nameOf(id), isLinked: known.isLinked(id), lostAt: known.lostAt(id) };
  });
  // One that is here and refuses has more of the log, or has its own reasons: what keeps all of them waiting is who is away.
  const away = voters.filter(({ isLinked }) => !isLinked);
  return { isSuspect: raft.isSuspect, voters: away.length > 0 ? away : voters };
}

export function isSameWait(a: ElectionWait | undefined, b: ElectionWait | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const key = ({ voters }: ElectionWait): string =>
    voters.map(({ id, name, isLinked, lostAt }) => `${id} ${name} ${isLinked} ${lostAt}`).join();
  return a.isSuspect === b.isSuspect && key(a) === key(b);
}

/** In one sentence for the operator, and what to do. */
export function explainWait({ isSuspect, voters }: ElectionWait, now: MonotonicMs): string {
  const list = (text: (voter: AwaitedVoter) => string): string => voters.map(text).join(" and ");
  const who = isSuspect
    ? "this node lost power (or a part of its data) and"
    : "others lost power, and this node";
  const whom = list((voter) => `${nameOf(voter)} (${lastSeen(voter, now)})`);
  const it = voters.length === 1 ? "it" : "they";
  const advice = voters.every(({ isLinked }) => isLinked)
    ? `The status of ${list(nameOf)} says why.`
    : `Switch ${list(nameOf)} on, on this network. Until then what is new is safe on one node only. If ${it} will never come back: ${voters.map((voter) => `skein forget ${nameOf(voter)}`.replace("node ", "")).join(" and ")}`;
  return `No coordinator: ${who} waits for ${whom}, because ${it} may hold acknowledged messages. ${advice}`;
}

function nameOf({ id, name }: AwaitedVoter): string {
  return name ?? `node ${id}`;
}

function lastSeen({ isLinked, lostAt }: AwaitedVoter, now: MonotonicMs): string {
  if (isLinked) return "does not vote yet";
  if (lostAt === undefined) return "not seen since this node started";
  const seconds = Math.max(0, Math.floor((now - lostAt) / 1000));
  if (seconds < 120) return `last seen ${seconds} s ago`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 120 ? `last seen ${minutes} min ago` : `last seen ${Math.floor(minutes / 60)} h ago`;
}

/** Says it when it begins, and once a minute. */
export class ElectionWaitWarning {
  readonly #log: Log;
  #sayAt = 0;

  constructor(log: Log) {
    this.#log = log;
  }

  /** A few times a second. */
  tick(wait: ElectionWait | undefined, now: MonotonicMs): void {
    if (wait === undefined || now < this.#sayAt) return;
    this.#sayAt = now + SAY_AGAIN_MS;
    const waitsFor = wait.voters.map(nameOf);
    this.#log.warn(
      { waitsFor, explanation: explainWait(wait, now) },
      "no coordinator: an election waits for every voter",
    );
  }
}
