/** What one node knows of another, and how that is shown and told. */

import type { Incarnation, MonotonicMs, NodeId } from "@skein/kernel";
import type { Member, MemberState, NodeFacts } from "../members.ts";
import type { MemberRow } from "../messages.ts";

export interface MemberRecord {
  readonly id: NodeId;
  incarnation: Incarnation;
  /** Of the process that has greeted in this incarnation; undefined: it is known from what others say. */
  nonce: number | undefined;
  state: MemberState;
  facts: NodeFacts;
  factsVersion: number;
  address: string;
  /** When its present link came up; undefined: it has none. */
  linkedAt: MonotonicMs | undefined;
  /** The link goes through it. */
  relay: NodeId | undefined;
  /** Known only from what others say. */
  isIndirect: boolean;
  heardMs: number;
  /** When its process started; undefined: unknown. */
  startedMs: number | undefined;
  rttMs: number | undefined;
  protocolVersion: number;
  /** Since when it is dead or left. */
  goneMs: number;
  areRowsExpired: boolean;
  /** It belonged to the cluster and was taken out. */
  isRemoved: boolean;
}

/** Of who has not said which it speaks: older than any that is spoken. */
export const UNTOLD_VERSION = 1;

export function newRecord(id: NodeId, incarnation: Incarnation, facts: NodeFacts, now: number): MemberRecord {
  return {
    id,
    incarnation,
    nonce: undefined,
    state: "alive",
    facts,
    factsVersion: 0,
    address: "",
    linkedAt: undefined,
    relay: undefined,
    isIndirect: false,
    heardMs: now,
    startedMs: undefined,
    rttMs: undefined,
    protocolVersion: UNTOLD_VERSION,
    goneMs: 0,
    areRowsExpired: false,
    isRemoved: false,
  };
}

export function memberOf(record: MemberRecord, now: number): Member {
  const { id, incarnation, state, address, linkedAt, relay, rttMs, protocolVersion } = record;
  const uptimeMs = uptimeOf(record, now);
  const isRelayed = relay !== undefined;
  return {
    ...record.facts,
    id,
    incarnation,
    state,
    address,
    isLinked: linkedAt !== undefined,
    linkedAt,
    isRelayed,
    relay,
    rttMs,
    uptimeMs,
    protocolVersion,
  };
}

function uptimeOf({ startedMs }: MemberRecord, now: number): number {
  return startedMs === undefined ? 0 : Math.max(0, Math.floor(now - startedMs));
}

export function rowOf(
  record: MemberRecord,
  heardMs: number,
  now: number,
  interestVersionOf: (node: NodeId, incarnation: Incarnation) => number,
): MemberRow {
  return {
    node: record.id,
    incarnation: record.incarnation,
    hasLeft: record.state === "left",
    heardAgoMs: Math.max(0, Math.floor(now - heardMs)),
    address: record.address,
    factsVersion: record.factsVersion,
    ...record.facts,
    uptimeMs: uptimeOf(record, now),
    protocolVersion: record.protocolVersion,
    interestVersion: interestVersionOf(record.id, record.incarnation),
  };
}

export function factsIn(row: MemberRow): NodeFacts {
  const { name, cluster, role, clients, holdsAddress } = row;
  const { machine, isWired, flushP99Ms, mqttPort, httpPort } = row;
  return {
    name,
    cluster,
    role,
    clients,
    holdsAddress,
    machine,
    isWired,
    flushP99Ms,
    mqttPort,
    httpPort,
  };
}

export function sameFacts(a: NodeFacts, b: NodeFacts): boolean {
  return (Object.keys(a) as (keyof NodeFacts)[]).every((fact) => a[fact] === b[fact]);
}
