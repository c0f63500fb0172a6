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
  REMOVED_FORGOTTEN_MS,
  SUSPECT_AFTER_MS,
} from "../limits.ts";
import type { Outrun } from "../link/twins.ts";
import { factsOfNewcomer, type Member, type MemberState, type NodeFacts } from "../members.ts";
import type { Hello, MemberRow } from "../messages.ts";
import {
  factsIn,
  type MemberRecord,
  memberOf,
  newRecord,
  rowOf,
  sameFacts,
  UNTOLD_VERSION,
} from "./member-record.ts";

/** Uptime and round trip change all the time: the list is made anew at least this often. */
const LIST_KEPT_MS = 10_000;

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

export class Membership {
  readonly #owner: MembershipOwner;
  readonly #self: MemberRecord;
  readonly #others = new Map<NodeId, MemberRecord>();
  /** Who belongs to the cluster by its log; undefined: this node belongs to none. */
  #configured: ReadonlySet<NodeId> | undefined;
  #list: readonly Member[] | undefined;
  #listedMs = 0;
  #now: MonotonicMs;

  /** `own`: how this node calls itself, and the newest version of the protocol it speaks. */
  constructor(
    own: {
      readonly id: NodeId;
      readonly incarnation: Incarnation;
      readonly name: string;
      readonly protocolVersion: number;
    },
    now: MonotonicMs,
    owner: MembershipOwner,
  ) {
    this.#owner = owner;
    this.#now = now;
    this.#self = newRecord(own.id, own.incarnation, factsOfNewcomer(own.name), now);
    this.#self.factsVersion = 1;
    this.#self.protocolVersion = own.protocolVersion;
    this.#self.startedMs = now;
  }

  /** The member list, this node first, the others by id. The same array until something changes. */
  get members(): readonly Member[] {
    if (this.#list === undefined) {
      const others = [...this.#others.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
      this.#list = [this.#self, ...others].map((record) => memberOf(record, this.#now));
      this.#listedMs = this.#now;
    }
    return this.#list;
  }

  get ownFacts(): NodeFacts {
    return this.#self.facts;
  }

  stateOf(node: NodeId): MemberState | undefined {
    return this.#others.get(node)?.state;
  }

  /** When something came from it last, over its link or by word of a third node. */
  heardAt(node: NodeId): MonotonicMs | undefined {
    return this.#others.get(node)?.heardMs as MonotonicMs | undefined;
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

  /** These nodes belong to the cluster: who is gone and does not is not expected back. */
  setConfigured(nodes: ReadonlySet<NodeId>): void {
    for (const record of this.#others.values()) {
      const has = nodes.has(record.id);
      if (has || this.#configured?.has(record.id) === true) record.isRemoved = !has;
    }
    this.#configured = nodes;
  }

  /** The process that is known in place of the sender of `hello`; undefined: none, or a past one. */
  outran({ node, incarnation, nonce }: Hello): Outrun | undefined {
    const record = this.#others.get(node);
    if (record === undefined || incarnation > record.incarnation) return undefined;
    const isSame = record.nonce === undefined || record.nonce === nonce;
    return incarnation === record.incarnation && isSame ? undefined : record;
  }

  /** The sender of `hello` is calling, which nobody has outrun. Returns false if it is one member too many. */
  greeted(hello: Hello, now: MonotonicMs): boolean {
    const record = this.#recordOf(hello.node, hello.incarnation, hello.name, now);
    if (record === undefined) return false;
    if (hello.incarnation > record.incarnation) this.#renew(record, hello.incarnation, hello.name);
    record.nonce = hello.nonce;
    record.protocolVersion = hello.versions.newest;
    return true;
  }

  /** The link to it is up; it is reached at `address` (empty: not known), or through `relay`. */
  linked(node: NodeId, address: string, relay: NodeId | undefined, now: MonotonicMs): void {
    const record = this.#others.get(node);
    if (record === undefined) return;
    record.heardMs = now;
    record.linkedAt = now;
    record.relay = relay;
    record.isIndirect = false;
    if (address !== "") record.address = address;
    this.#changed();
    this.#enter(record, "alive", now);
  }

  unlinked(node: NodeId, now: MonotonicMs): void {
    const record = this.#others.get(node);
    if (record === undefined || record.linkedAt === undefined) return;
    record.linkedAt = undefined;
    record.relay = undefined;
    record.rttMs = undefined;
    this.#changed();
    if (record.state === "alive") this.#enter(record, "suspect", now);
  }

  /** Something came over the link of `node` at `heardMs`. */
  heard(node: NodeId, heardMs: MonotonicMs, now: MonotonicMs): void {
    const record = this.#others.get(node);
    if (record === undefined) return;
    record.heardMs = Math.max(record.heardMs, heardMs);
    const isAudible = now - record.heardMs < SUSPECT_AFTER_MS;
    if (record.state === "suspect" && record.linkedAt !== undefined && isAudible)
      this.#enter(record, "alive", now);
  }

  /** The way to it and back takes `rttMs`. */
  measured(node: NodeId, rttMs: number): void {
    const record = this.#others.get(node);
    if (record === undefined) return;
    const before = record.rttMs;
    record.rttMs = Math.round(rttMs * 10) / 10;
    if (before === undefined) this.#changed();
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
    // Not now: whoever is told so by this node would take one that is dead for alive.
    if (known === undefined) record.heardMs = now - row.heardAgoMs;
    if (row.incarnation > record.incarnation) {
      // Its link, if any, belongs to the past incarnation and will end by itself; the new one greets us.
      if (record.linkedAt !== undefined || row.hasLeft) return undefined;
      this.#renew(record, row.incarnation, row.name);
      record.heardMs = now - row.heardAgoMs;
      record.isIndirect = true;
      this.#enter(record, "alive", now);
    } else if (record.linkedAt === undefined) {
      if (row.hasLeft) this.#enter(record, "left", now);
      else if (known === undefined || record.state !== "left") this.#believe(record, row, now);
    }
    this.#takeFacts(record, row, isOwn, now);
    if (isOwn || record.linkedAt !== undefined || row.hasLeft || record.state === "left") return undefined;
    if (record.address === "") record.address = row.address;
    return row.address === "" ? undefined : row.address;
  }

  /** Looks for silence. Call it every TICK_MS. */
  tick(now: MonotonicMs): void {
    this.#now = now;
    if (now - this.#listedMs >= LIST_KEPT_MS) this.#changed();
    for (const record of [...this.#others.values()]) {
      const silenceMs = now - record.heardMs;
      if (record.state === "alive" && record.isIndirect) {
        if (silenceMs >= (record.isRemoved ? REMOVED_FORGOTTEN_MS : INDIRECT_DEAD_AFTER_MS))
          this.#enter(record, "dead", now);
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
    const rows = [rowOf(this.#self, now, now, interestVersionOf)];
    for (const record of this.#others.values()) {
      if (record.state === "dead") continue;
      rows.push(rowOf(record, record.heardMs, now, interestVersionOf));
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
    const record = newRecord(node, incarnation, factsOfNewcomer(name), now);
    record.isIndirect = true;
    this.#others.set(node, record);
    this.#changed();
    this.#owner.stateChanged(node, undefined, "alive");
    return record;
  }

  #renew(record: MemberRecord, incarnation: Incarnation, name: string): void {
    record.incarnation = incarnation;
    record.nonce = undefined;
    // A restart may go back to the version before.
    record.protocolVersion = UNTOLD_VERSION;
    record.factsVersion = 0;
    record.startedMs = undefined;
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

  #takeFacts(record: MemberRecord, row: MemberRow, isOwn: boolean, now: MonotonicMs): void {
    if (row.uptimeMs > 0 && (isOwn || record.startedMs === undefined)) record.startedMs = now - row.uptimeMs;
    record.protocolVersion = Math.max(record.protocolVersion, row.protocolVersion);
    // What a third node says of it may lack what that node's version does not know: its own word has all of it.
    if (row.factsVersion < record.factsVersion || (row.factsVersion === record.factsVersion && !isOwn))
      return;
    record.factsVersion = row.factsVersion;
    const facts = factsIn(row);
    if (sameFacts(record.facts, facts)) return;
    record.facts = facts;
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
    if (goneMs < (this.#isExpectedBack(record) ? DEAD_FORGOTTEN_MS : REMOVED_FORGOTTEN_MS)) return;
    this.#others.delete(record.id);
    this.#changed();
    this.#owner.forgotten(record.id);
  }

  /** A node that has never belonged to the cluster is, as long as it did not say goodbye: it may be beyond the last replica. */
  #isExpectedBack({ id, state, isRemoved }: MemberRecord): boolean {
    if (isRemoved) return false;
    return state === "dead" || this.#configured === undefined || this.#configured.has(id);
  }

  #changed(): void {
    this.#list = undefined;
    this.#owner.changed();
  }
}
