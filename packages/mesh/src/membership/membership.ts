/**
 * Who is in the mesh and in what state: alive, suspect, dead or left, per node and incarnation.
 *
 * With a link to every peer and a heartbeat each second, silence on the link is the failure detector: suspect after
 * 3 s of silence or when the link is lost, dead after 6 s, left by its own word. A restart is a higher incarnation and
 * always wins. Each node writes only its own row (facts); rows of others spread by digests. A node that others hear
 * but this one cannot link to is alive through their word only (`isIndirect`) and gets a longer time.
 *
 * Source: SWIM (Das, Gupta, Motivala 2002) for states and incarnations; reference/design.md 3.2-3.4 for direct heartbeats.
 */

import type { Incarnation, MonotonicMs, NodeId } from "@skein/kernel";
import {
  DEAD_AFTER_MS,
  DEAD_FORGOTTEN_MS,
  DEAD_ROWS_KEPT_MS,
  INDIRECT_DEAD_AFTER_MS,
  MEMBERS_MAX,
  SUSPECT_AFTER_MS,
} from "../limits.ts";
import type { Member, MemberState, NodeFacts } from "../members.ts";
import type { Hello, MemberRow } from "../messages.ts";

/** What follows from a change of state; carried out by the mesh. */
export interface MembershipOwner {
  /** `from` is undefined for a member that was not known. */
  stateChanged(node: NodeId, from: MemberState | undefined, to: MemberState): void;
  /** It runs in a higher incarnation now: everything that concerned the past one is void. */
  restarted(node: NodeId): void;
  /** It has been dead or gone for so long that its interest rows go too. */
  rowsExpired(node: NodeId): void;
  /** It is not listed any more. */
  forgotten(node: NodeId): void;
  /** Something that the member list shows has changed. */
  changed(): void;
}

interface MemberRecord {
  readonly id: NodeId;
  incarnation: Incarnation;
  state: MemberState;
  facts: NodeFacts;
  factsVersion: number;
  address: string;
  isLinked: boolean;
  /** Known only from what others say. */
  isIndirect: boolean;
  heardMs: number;
  /** Since when it is dead or left. */
  goneMs: number;
  areRowsExpired: boolean;
}

export class Membership {
  readonly #owner: MembershipOwner;
  readonly #self: MemberRecord;
  readonly #others = new Map<NodeId, MemberRecord>();
  #list: readonly Member[] | undefined;

  constructor(id: NodeId, incarnation: Incarnation, facts: NodeFacts, owner: MembershipOwner) {
    this.#owner = owner;
    this.#self = newRecord(id, incarnation, facts, 0);
    this.#self.factsVersion = 1;
  }

  /** The member list, this node first, the others by id. The same array until something changes. */
  get members(): readonly Member[] {
    this.#list ??= [
      memberOf(this.#self),
      ...[...this.#others.values()].sort((a, b) => (a.id < b.id ? -1 : 1)).map(memberOf),
    ];
    return this.#list;
  }

  get ownFacts(): NodeFacts {
    return this.#self.facts;
  }

  stateOf(node: NodeId): MemberState | undefined {
    return this.#others.get(node)?.state;
  }

  incarnationOf(node: NodeId): Incarnation | undefined {
    return this.#others.get(node)?.incarnation;
  }

  /** Returns whether they differ from what others were told. */
  setFacts(facts: NodeFacts): boolean {
    if (sameFacts(this.#self.facts, facts)) return false;
    this.#self.facts = { ...facts };
    this.#self.factsVersion++;
    this.#changed();
    return true;
  }

  /** The sender of `hello` is calling. Returns false if it must not: a past incarnation, or one member too many. */
  greeted(hello: Hello, now: MonotonicMs): boolean {
    const record = this.#recordOf(hello.node, hello.incarnation, hello.name, now);
    if (record === undefined || hello.incarnation < record.incarnation) return false;
    if (hello.incarnation > record.incarnation) this.#renew(record, hello.incarnation, hello.name);
    return true;
  }

  /** The link to it is up; it is reached at `address`. */
  linked(node: NodeId, address: string, now: MonotonicMs): void {
    const record = this.#others.get(node);
    if (record === undefined) return;
    record.heardMs = now;
    record.isLinked = true;
    record.isIndirect = false;
    if (address !== "") record.address = address;
    this.#changed();
    this.#enter(record, "alive", now);
  }

  unlinked(node: NodeId, now: MonotonicMs): void {
    const record = this.#others.get(node);
    if (record === undefined || !record.isLinked) return;
    record.isLinked = false;
    this.#changed();
    if (record.state === "alive") this.#enter(record, "suspect", now);
  }

  /** Something came over the link of `node` at `heardMs`. */
  heard(node: NodeId, heardMs: MonotonicMs, now: MonotonicMs): void {
    const record = this.#others.get(node);
    if (record === undefined) return;
    record.heardMs = Math.max(record.heardMs, heardMs);
    const isAudible = now - record.heardMs < SUSPECT_AFTER_MS;
    if (record.state === "suspect" && record.isLinked && isAudible) this.#enter(record, "alive", now);
  }

  /** It said goodbye. */
  left(node: NodeId, now: MonotonicMs): void {
    const record = this.#others.get(node);
    if (record !== undefined) this.#enter(record, "left", now);
  }

  /** What a peer says about a member: itself (`isOwn`) or a third one. Returns the record's address worth dialling. */
  gossip(row: MemberRow, isOwn: boolean, now: MonotonicMs): string | undefined {
    if (row.node === this.#self.id) return undefined;
    const known = this.#others.get(row.node);
    if (known === undefined && (row.hasLeft || row.heardAgoMs > DEAD_AFTER_MS)) return undefined;
    const record = this.#recordOf(row.node, row.incarnation, row.name, now);
    if (record === undefined || row.incarnation < record.incarnation) return undefined;
    if (row.incarnation > record.incarnation) {
      // Its link, if any, belongs to the past incarnation and will end by itself; the new one greets us.
      if (record.isLinked || row.hasLeft) return undefined;
      this.#renew(record, row.incarnation, row.name);
      record.heardMs = now - row.heardAgoMs;
      record.isIndirect = true;
      this.#enter(record, "alive", now);
    } else if (!record.isLinked) {
      if (row.hasLeft) this.#enter(record, "left", now);
      else if (known === undefined || record.state !== "left") this.#believe(record, row, now);
    }
    this.#takeFacts(record, row);
    if (isOwn || record.isLinked || row.hasLeft) return undefined;
    if (record.address === "") record.address = row.address;
    return row.address === "" ? undefined : row.address;
  }

  /** Looks for silence. Call it every TICK_MS. */
  tick(now: MonotonicMs): void {
    for (const record of [...this.#others.values()]) {
      const silenceMs = now - record.heardMs;
      if (record.state === "alive" && record.isIndirect) {
        if (silenceMs >= INDIRECT_DEAD_AFTER_MS) this.#enter(record, "dead", now);
      } else if (record.state === "alive" && silenceMs >= SUSPECT_AFTER_MS) {
        this.#enter(record, "suspect", now);
      } else if (record.state === "suspect" && silenceMs >= DEAD_AFTER_MS) {
        this.#enter(record, "dead", now);
      } else if (record.state === "dead" || record.state === "left") {
        this.#expire(record, now);
      }
    }
  }

  /** The rows for a digest: this node's own first, then every member that is not dead. */
  rows(now: MonotonicMs, interestVersionOf: (node: NodeId, incarnation: Incarnation) => number): MemberRow[] {
    const rows = [rowOf(this.#self, 0, interestVersionOf)];
    for (const record of this.#others.values()) {
      if (record.state === "dead") continue;
      rows.push(rowOf(record, Math.max(0, Math.floor(now - record.heardMs)), interestVersionOf));
    }
    return rows.slice(0, MEMBERS_MAX);
  }

  #recordOf(
    node: NodeId,
    incarnation: Incarnation,
    name: string,
    now: MonotonicMs,
  ): MemberRecord | undefined {
    const known = this.#others.get(node);
    if (known !== undefined) return known;
    if (this.#others.size >= MEMBERS_MAX - 1) return undefined;
    const facts: NodeFacts = { name, cluster: undefined, role: "learner", clients: 0, holdsAddress: false };
    const record = newRecord(node, incarnation, facts, now);
    record.isIndirect = true;
    this.#others.set(node, record);
    this.#changed();
    this.#owner.stateChanged(node, undefined, "alive");
    return record;
  }

  #renew(record: MemberRecord, incarnation: Incarnation, name: string): void {
    record.incarnation = incarnation;
    record.factsVersion = 0;
    // Its cluster and part in it are likely the same as before the restart, and it will tell in a moment.
    record.facts = { ...record.facts, name, clients: 0, holdsAddress: false };
    this.#changed();
    this.#owner.restarted(record.id);
  }

  /** A third node has heard it: that counts only if it was clearly later than when this node lost it. */
  #believe(record: MemberRecord, row: MemberRow, now: MonotonicMs): void {
    const heardMs = now - row.heardAgoMs;
    if (record.isIndirect && record.state === "alive") {
      record.heardMs = Math.max(record.heardMs, heardMs);
      return;
    }
    if (record.state !== "dead" || heardMs <= record.heardMs + SUSPECT_AFTER_MS) return;
    record.heardMs = heardMs;
    record.isIndirect = true;
    this.#enter(record, "alive", now);
  }

  #takeFacts(record: MemberRecord, row: MemberRow): void {
    if (row.factsVersion <= record.factsVersion) return;
    record.factsVersion = row.factsVersion;
    const { name, cluster, role, clients, holdsAddress } = row;
    record.facts = { name, cluster, role, clients, holdsAddress };
    this.#changed();
  }

  #enter(record: MemberRecord, state: MemberState, now: MonotonicMs): void {
    const from = record.state;
    if (from === state) return;
    record.state = state;
    if (state === "dead" || state === "left") {
      record.goneMs = now;
      record.areRowsExpired = false;
    }
    this.#changed();
    this.#owner.stateChanged(record.id, from, state);
  }

  #expire(record: MemberRecord, now: MonotonicMs): void {
    const goneMs = now - record.goneMs;
    if (!record.areRowsExpired && (record.state === "left" || goneMs >= DEAD_ROWS_KEPT_MS)) {
      record.areRowsExpired = true;
      this.#owner.rowsExpired(record.id);
    }
    if (goneMs < DEAD_FORGOTTEN_MS) return;
    this.#others.delete(record.id);
    this.#changed();
    this.#owner.forgotten(record.id);
  }

  #changed(): void {
    this.#list = undefined;
    this.#owner.changed();
  }
}

function newRecord(id: NodeId, incarnation: Incarnation, facts: NodeFacts, now: number): MemberRecord {
  return {
    id,
    incarnation,
    state: "alive",
    facts,
    factsVersion: 0,
    address: "",
    isLinked: false,
    isIndirect: false,
    heardMs: now,
    goneMs: 0,
    areRowsExpired: false,
  };
}

function memberOf(record: MemberRecord): Member {
  const { id, incarnation, state, address, isLinked } = record;
  return { ...record.facts, id, incarnation, state, address, isLinked };
}

function rowOf(
  record: MemberRecord,
  heardAgoMs: number,
  interestVersionOf: (node: NodeId, incarnation: Incarnation) => number,
): MemberRow {
  return {
    node: record.id,
    incarnation: record.incarnation,
    hasLeft: record.state === "left",
    heardAgoMs,
    address: record.address,
    factsVersion: record.factsVersion,
    ...record.facts,
    interestVersion: interestVersionOf(record.id, record.incarnation),
  };
}

function sameFacts(a: NodeFacts, b: NodeFacts): boolean {
  return (
    a.name === b.name &&
    a.cluster === b.cluster &&
    a.role === b.role &&
    a.clients === b.clients &&
    a.holdsAddress === b.holdsAddress
  );
}
