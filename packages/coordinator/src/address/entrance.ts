/**
 * Where clients get in: decides from what the coordinator and the member list say whether this node is the one they find, by the
 * floating address and by the name of the mesh.
 *
 * With a quorum that is the leader; without one the best-ranked node in reach stands in. What each node must know of the others
 * for that, and whom the address served, goes in frames of its own between linked nodes: told when something changes or a link is
 * new, and again now and then.
 *
 * Source: architecture.md section 6.
 */

import { type Clock, type NodeId, SkeinError } from "@skein/kernel";
import { Alarm } from "../alarm.ts";
import type { CoordinatorStatus } from "../options.ts";
import { Connections, type OpenConnection } from "./connections.ts";
import type { FloatingAddress } from "./floating-address.ts";
import { type AddressFrame, decodeAddressFrame, encodeAddressFrame } from "./frames.ts";
import { GIVE_UP_MS } from "./holding.ts";
import { type Candidate, viewOf } from "./ranking.ts";
import { StandIn, type StandInEffect } from "./stand-in.ts";

/** The part of a mesh member that the entrance needs. */
export interface EntrancePeer {
  readonly id: NodeId;
  readonly state: "alive" | "suspect" | "dead" | "left";
  readonly isLinked: boolean;
  /** When that link came up, be it in place of another one (Clock.monotonicMs); undefined: there is none. */
  readonly linkedAt: number | undefined;
  /** There is no link, but a third node passes everything on. */
  readonly isRelayed?: boolean;
  /** Undefined: not known. */
  readonly isWired?: boolean | undefined;
}

export interface EntrancePorts {
  readonly clock: Clock;
  /** A frame about the address to a linked node. False: lost. */
  readonly send: (to: NodeId, bytes: Uint8Array) => boolean;
  /** When something came from another node last (Clock.monotonicMs); undefined: it is not known. */
  readonly heardAt: (node: NodeId) => number | undefined;
  /** Clients may come in at this node. */
  readonly isServing: () => boolean;
  /** Connections of clients on the floating address. */
  readonly connections: () => Iterable<OpenConnection>;
  /** Ethernet addresses of this machine. */
  readonly macs: () => readonly string[];
  /** Clients that look for the mesh by its name shall find this node (or its floating address), or not any more. */
  readonly publish: (what: "address" | "node" | undefined) => void;
  /** What a node says: whether it leads, or led until a moment ago, and no quorum answers it. */
  readonly toldCutOff: (node: NodeId, isCutOff: boolean) => void;
}

export interface EntranceOptions {
  readonly node: NodeId;
  /** Longest election timeout, ms. */
  readonly electionMaxMs: number;
}

const TELL_AGAIN_MS = 10_000;
/**
 * The leader that has gone silent is out of reach when nothing at all has come from it for so long, whatever its link says as yet: a
 * link that is idle carries something at least every second and a half.
 */
const SILENT_MS = 1700;
/** Connections come and go all the time; others hear of it at most this often. */
const TELL_CHANGES_MS = 250;

/** Network interfaces come and go rarely, and asking for them four times a second was 6 % of what an idle node of ten did. */
const MACS_KEPT_MS = 5000;

type Ability = Omit<Extract<AddressFrame, { kind: "ability" }>, "kind">;

export class Entrance {
  readonly #node: NodeId;
  readonly #ports: EntrancePorts;
  readonly #address: FloatingAddress | undefined;
  readonly #standIn: StandIn;
  /** What linked nodes have told. */
  readonly #abilities = new Map<NodeId, Ability>();
  readonly #connections = new Connections();
  /** Who told the connections; this node itself while it holds the address. */
  #toldBy: NodeId | undefined;
  /** Linked nodes that know the ability, or the connections, as they are now. */
  readonly #knowAbility = new Set<NodeId>();
  readonly #knowConnections = new Set<NodeId>();
  /** What this node can do, as of the last update, and as it is told. */
  #ability: Ability | undefined;
  #abilityFrame: Uint8Array = new Uint8Array(0);
  #macs: readonly string[] = [];
  #macsAt = Number.NEGATIVE_INFINITY;
  /** Number of the interval of TELL_AGAIN_MS in which all was told again. */
  #round = 0;
  #toldChangesAt = Number.NEGATIVE_INFINITY;
  #peers: readonly EntrancePeer[] = [];
  /** Those of them that have a link. */
  #linked: readonly NodeId[] = [];
  #status: CoordinatorStatus | undefined;
  /** Since when this node has led; undefined: it does not. */
  #leadsSince: number | undefined;
  #isCutOff = false;
  /** This node leads by a quorum's answers, and has what that gives it. */
  #isEstablished = false;
  readonly #alarm: Alarm;
  #isStopped = false;

  constructor(
    { node, electionMaxMs }: EntranceOptions,
    address: FloatingAddress | undefined,
    ports: EntrancePorts,
  ) {
    this.#node = node;
    this.#ports = ports;
    this.#address = address;
    this.#standIn = new StandIn(electionMaxMs);
    this.#alarm = new Alarm(ports.clock, () => {
      if (this.#status !== undefined) this.update(this.#status);
    });
  }

  /** Whether `mac` belongs to a node of the mesh, this one included. */
  isMember(mac: string): boolean {
    if (this.#ownMacs().includes(mac)) return true;
    for (const { macs } of this.#abilities.values()) if (macs.includes(mac)) return true;
    return false;
  }

  /** Call with every change of the coordinator's status, and at least four times a second. */
  update(status: CoordinatorStatus): void {
    if (this.#isStopped) return;
    this.#status = status;
    const { clock } = this.#ports;
    const now = clock.monotonicMs();
    this.#leadsSince = status.role === "leader" ? (this.#leadsSince ?? now) : undefined;
    this.#isCutOff = this.#isCutOffNow(status, now);
    // Its followers believe in it for an election timeout, but it has said that it goes.
    const seen = this.#hasLeft(status.coordinator) ? { ...status, hasQuorum: false } : status;
    const view = viewOf(this.#node, seen, this.#inReach(status, now));
    this.#probeFor(this.#standIn.step({ kind: "view", ...view, isLast: this.#isLast(status) }, now));
    this.#warrant(status, view.isLeaderHeard);
    this.#tell(now);
    this.#alarm.set(this.#standIn.wakeAt ?? Number.POSITIVE_INFINITY);
  }

  /**
   * A quorum has answered anew, and nothing else in the status has changed. Who has the address by its answers keeps it so much longer. Whoever
   * takes it with this one, or has lost it, looks at everything and tells the others.
   */
  quorumAnswered(status: CoordinatorStatus): void {
    if (this.#isStopped) return;
    const isRenewal = this.#isEstablished && this.#address?.isHeld !== false;
    if (isRenewal) {
      this.#status = status;
      this.#warrant(status, true);
    }
    if (!isRenewal || !this.#isEstablished) this.update(status);
  }

  peersChanged(peers: readonly EntrancePeer[]): void {
    const before = new Map(this.#peers.map(({ id, linkedAt }) => [id, linkedAt]));
    const reached = new Set(this.#peers.filter(isInReach).map(({ id }) => id));
    // What went over a link that has been replaced may be lost, and who has started again knows nothing.
    const kept = peers.filter(({ id, linkedAt }) => linkedAt !== undefined && linkedAt === before.get(id));
    const knowing = new Set(kept.map(({ id }) => id));
    this.#peers = peers;
    this.#linked = peers.filter(({ id, isLinked }) => isLinked && id !== this.#node).map(({ id }) => id);
    for (const known of [this.#knowAbility, this.#knowConnections])
      for (const id of known) if (!knowing.has(id)) known.delete(id);
    if (peers.some((peer) => isInReach(peer) && !reached.has(peer.id))) this.#address?.reunited();
  }

  /** A frame about the address from another node. Whatever it holds, this never throws. Returns whether it could be read. */
  receive(from: NodeId, bytes: Uint8Array): boolean {
    let frame: AddressFrame | undefined;
    try {
      frame = decodeAddressFrame(bytes);
    } catch (error) {
      if (!(error instanceof SkeinError)) throw error;
      return false;
    }
    if (frame?.kind === "ability") {
      this.#abilities.set(from, frame);
      this.#ports.toldCutOff(from, frame.isCutOff);
    }
    if (frame?.kind === "connections") {
      // Only who holds it tells: clients have been drawn to that one, be it for a moment.
      if (this.#toldBy === this.#node) this.#address?.reunited();
      else this.#learn(from, frame);
    }
    return true;
  }

  /** Leadership is being handed over: the address is released now. */
  giveUp(): void {
    this.#address?.update({ isGiven: false, isElected: false, confirmedAt: undefined });
    this.#ports.publish(undefined);
  }

  /** Another node answers for the address that this one holds. */
  contested(): void {
    this.#probeFor(this.#standIn.step({ kind: "contested" }, this.#ports.clock.monotonicMs()));
  }

  /** The machine slept. */
  suspended(): void {
    this.#standIn.step({ kind: "suspended" }, this.#ports.clock.monotonicMs());
  }

  /** Lets go of everything: clients are reset, the address is deleted, the name is withdrawn. Then calls `done`. */
  stop(done: () => void): void {
    this.#isStopped = true;
    this.#alarm.stop();
    const released = (): void => {
      this.#ports.publish(undefined);
      done();
    };
    if (this.#address === undefined) released();
    else this.#address.stop(released);
  }

  #inReach({ silentLeader }: CoordinatorStatus, now: number): readonly Candidate[] {
    const candidates: Candidate[] = [
      { ...this.#ownAbility(), id: this.#node, isWired: this.#isWired(this.#node) },
    ];
    for (const peer of this.#peers) {
      const { id, isWired } = peer;
      if (id === this.#node || !isInReach(peer)) continue;
      if (id === silentLeader && now - (this.#ports.heardAt(id) ?? 0) >= SILENT_MS) continue;
      const told = this.#abilities.get(id);
      const { isServing = false, isAble, isCutOff = false, isOutranked = false } = told ?? {};
      candidates.push({ id, isWired, isServing, isAble, isCutOff, isOutranked });
    }
    return candidates;
  }

  #hasLeft(node: NodeId | undefined): boolean {
    return this.#peers.some(({ id, state }) => id === node && state === "left");
  }

  /** Every other node that is known, and every other member of the cluster, has said goodbye. */
  #isLast({ voters, learners }: CoordinatorStatus): boolean {
    const isGone = (id: NodeId): boolean => id === this.#node || this.#hasLeft(id);
    if (!this.#peers.every(({ id }) => isGone(id))) return false;
    const members = [...voters, ...learners];
    return members.length > 1 && members.every(isGone);
  }

  #isWired(node: NodeId): boolean | undefined {
    return this.#peers.find(({ id }) => id === node)?.isWired;
  }

  #ownAbility(): Ability {
    const isServing = this.#ports.isServing();
    const isAble = this.#address !== undefined && this.#address.problem === undefined;
    const isOutranked = this.#status?.isOutranked === true;
    return { isServing, isAble, isCutOff: this.#isCutOff, isOutranked, macs: this.#ownMacs() };
  }

  /** Who followed it believes in it for a while after it has stepped down, so it goes on saying so until it hears another leader. */
  #isCutOffNow({ hasQuorum, quorumContactAt }: CoordinatorStatus, now: number): boolean {
    if (this.#leadsSince === undefined) return this.#isCutOff && !hasQuorum;
    // Before its first commit, which takes long if its followers lack much, it has no contact to show although a quorum answers.
    if (quorumContactAt === undefined && hasQuorum) return false;
    return now - Math.max(this.#leadsSince, quorumContactAt ?? 0) >= GIVE_UP_MS;
  }

  #ownMacs(): readonly string[] {
    const now = this.#ports.clock.monotonicMs();
    if (now - this.#macsAt >= MACS_KEPT_MS) {
      this.#macs = this.#ports.macs();
      this.#macsAt = now;
    }
    return this.#macs;
  }

  #probeFor(effects: readonly StandInEffect[]): void {
    if (effects.length === 0) return;
    const probed = (isAnswered: boolean): void => {
      if (this.#isStopped) return;
      this.#probeFor(this.#standIn.step({ kind: "probed", isAnswered }, this.#ports.clock.monotonicMs()));
      if (this.#status !== undefined) this.update(this.#status);
    };
    if (this.#address === undefined || this.#address.problem !== undefined)
      this.#ports.clock.atTurnEnd(() => probed(false));
    else this.#address.probe(probed);
  }

  #warrant(status: CoordinatorStatus, isLeaderHeard: boolean): void {
    const { isStandingIn } = this.#standIn;
    // A leader whose disk stands still confirms what it cannot keep; unless nobody else could lead.
    const isStuck = status.isDiskStalled && status.voters.length > 1;
    // Its port is closed for as long as its replica is not current: a cluster that is being taken in may lead so for a minute.
    const isOpen = this.#ports.isServing() || isLeaderHeard;
    // Two clusters in sight have two leaders.
    const isLeader = status.role === "leader" && isOpen && !isStuck && !status.isOutranked;
    const address = this.#address;
    const wasHeld = this.#toldBy === this.#node;
    const { quorumContactAt } = status;
    const confirmedAt = isStandingIn ? this.#ports.clock.monotonicMs() : quorumContactAt;
    if (!wasHeld) address?.tickleOnTaking(this.#connections.all);
    address?.update({ isGiven: isLeader || isStandingIn, isElected: !isStandingIn, confirmedAt });
    const isHeld = address?.isHeld === true;
    if (isHeld && !wasHeld) this.#begin();
    if (!isHeld && wasHeld) this.#toldBy = undefined;
    const isEntrance = isStandingIn || (isLeader && isLeaderHeard);
    const hasWorkingAddress = address !== undefined && address.problem === undefined;
    this.#isEstablished = isLeader && isLeaderHeard && (isHeld || address === undefined);
    this.#ports.publish(isHeld ? "address" : isEntrance && !hasWorkingAddress ? "node" : undefined);
  }

  /** From now on this node tells who is connected. */
  #begin(): void {
    this.#toldBy = this.#node;
    this.#connections.clear();
    this.#knowConnections.clear();
  }

  #learn(from: NodeId, frame: Extract<AddressFrame, { kind: "connections" }>): void {
    if (frame.isWhole) this.#connections.clear();
    // A difference to what this node does not have.
    else if (from !== this.#toldBy) return;
    this.#toldBy = from;
    this.#connections.apply(frame);
  }

  #tell(now: number): void {
    const round = Math.floor(now / TELL_AGAIN_MS);
    if (round !== this.#round) {
      this.#round = round;
      this.#knowAbility.clear();
      this.#knowConnections.clear();
      // Both go in one packet.
      this.#toldChangesAt = Number.NEGATIVE_INFINITY;
    }
    const ability = this.#ownAbility();
    if (!isSameAbility(ability, this.#ability)) {
      this.#knowAbility.clear();
      this.#abilityFrame = encodeAddressFrame({ kind: "ability", ...ability });
    }
    this.#ability = ability;
    for (const id of this.#linked) this.#tellOne(this.#knowAbility, id, this.#abilityFrame);
    if (this.#toldBy !== this.#node || now - this.#toldChangesAt < TELL_CHANGES_MS) return;
    this.#toldChangesAt = now;
    const { added, removed } = this.#connections.observe(this.#ports.connections());
    const hasChanged = added.length > 0 || removed.length > 0;
    for (const id of this.#linked) {
      if (!this.#knowConnections.has(id)) {
        const whole = {
          kind: "connections",
          isWhole: true,
          added: this.#connections.all,
          removed: [],
        } as const;
        this.#tellOne(this.#knowConnections, id, encodeAddressFrame(whole));
      } else if (hasChanged) {
        const change = { kind: "connections", isWhole: false, added, removed } as const;
        if (!this.#ports.send(id, encodeAddressFrame(change))) this.#knowConnections.delete(id);
      }
    }
  }

  #tellOne(known: Set<NodeId>, id: NodeId, bytes: Uint8Array): void {
    if (!known.has(id) && this.#ports.send(id, bytes)) known.add(id);
  }
}

function isInReach({ state, isLinked, isRelayed = false }: EntrancePeer): boolean {
  return state === "alive" && (isLinked || isRelayed);
}

function isSameAbility(a: Ability, b: Ability | undefined): boolean {
  return (
    a.isServing === b?.isServing &&
    a.isAble === b.isAble &&
    a.isCutOff === b.isCutOff &&
    a.isOutranked === b.isOutranked &&
    (a.macs === b.macs || a.macs.join() === b.macs.join())
  );
}
