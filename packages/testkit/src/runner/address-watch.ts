/**
 * P1 and P2 as a watcher of the whole world sees them: on every side of every split somebody holds the clients' address within the
 * bound, and all know who; a leader that makes no progress does not; and whoever takes it rids clients of connections that lead nowhere.
 *
 * Looks four times a second. A side is a set of nodes that all reach each other and nobody else; what is only half cut off, slow,
 * or has changed a moment ago is nobody's side and owes nothing yet. Where a majority of voters is in reach an election is
 * waited for, which may fail a few times; elsewhere a stand-in must be there as promised.
 *
 * Source: architecture.md sections 2 (P1, P2) and 6.
 */

import { CheckFailure } from "../observations.ts";
import type { SimNode } from "../world/sim-node.ts";
import type { SimStream } from "../world/sim-stream.ts";
import type { World } from "../world/world.ts";
import type { Fault, FaultKind } from "./schedule.ts";

const LOOK_EVERY_MS = 250;
/** Without a majority: silence of the leader, a tick, silence of the other voters, the probe. Plus a look. */
const STAND_IN_MS = { lan: 5250, wired: 4750 } as const;
/**
 * With one: until a leader that was cut off has stepped down, the silence after it, three elections awaited, and the probe. All may be in
 * vain, where the others have other voters by now and nobody here knows.
 */
const ELECTION_MS = { lan: 5 * 4800 + 1000, wired: 5 * 2700 + 1000 } as const;
/** A leader that says that its disk stands still has as long to let go. */
const STALLED_HOLDER_MS = 1500;
/** A machine that has woken up drops the address with its next tick. */
const WOKEN_HOLDER_MS = 600;
/** From when a side has one holder until every ARP table on it has that one: announcements come for five seconds, or with the next link. */
const KNOWN_MS = 6000;
/** From taking the address until the last stale connection is gone. */
const TICKLED_MS = 4000;
/** A node that wants the address asks once a second whether the stranger is gone; the one that will want it next, every ten. */
const STRANGER_GONE_MS = 4000;
/** Holder and successor had a link for that long: the whole list has been told. */
const LINKED_MS = 12_000;
/** The successor's link to a dead holder is given up within that time. */
const LINK_LOST_MS = 10_000;

/** What P2 promises something about: death, freeze, partition, sleep, a disk that stands still, a stranger. */
const PROMISED: ReadonlySet<FaultKind> = new Set([
  "power",
  "partition",
  "pause",
  "suspend",
  "diskStall",
  "stop",
  "stranger",
]);

/**
 * Whether every fault is one after which clients are rid of their dead connections in time. Beside others (machines that change their
 * addresses, lost data, slow links) one may be passed over and notices at its keep-alive.
 */
function areClientsPromised(faults: readonly Fault[]): boolean {
  return faults.every(({ kind }) => PROMISED.has(kind));
}

/**
 * Whether every fault leaves a way whole or cuts it. Where ways are slow or half open, or machines change their addresses, somebody may be drawn to another
 * holder that nobody here hears of; then the announcement of every 30 s has to do.
 */
function areTablesPromised(faults: readonly Fault[]): boolean {
  return faults.every(({ kind }) => PROMISED.has(kind) || kind === "crash" || kind === "forgetAlone");
}

interface Side {
  readonly nodes: readonly SimNode[];
  /** Since when it has been one, and nobody of it has held the address. */
  since: number;
  /** Of the newest leader that one of it has heard of. */
  term: number;
  /** The one machine of it that holds the address, and since when no other has. */
  holder: number | undefined;
  heldSince: number;
}

interface Linked {
  readonly since: number;
  until: number;
}

export class AddressWatch {
  readonly #world: World;
  readonly #areClientsPromised: boolean;
  readonly #areTablesPromised: boolean;
  /** By what makes them up. */
  #sides = new Map<string, Side>();
  /** By pair of machines. */
  readonly #linked = new Map<string, Linked>();
  readonly #stalledSince = new Map<SimNode, number>();
  readonly #seenSince = new WeakMap<SimStream, number>();
  readonly #blockedAt = new WeakMap<SimStream, number>();
  #strangerAt = Number.NEGATIVE_INFINITY;
  #holder: { readonly machine: number; readonly since: number } | undefined;
  #isOver = false;

  /** @param faults decide whether clients with dead connections are looked for, too, and ARP tables */
  constructor(world: World, faults: readonly Fault[]) {
    this.#world = world;
    this.#areClientsPromised = areClientsPromised(faults);
    this.#areTablesPromised = areTablesPromised(faults);
  }

  begin(): void {
    if (this.#isOver) return;
    this.#look();
    this.#world.events.after(LOOK_EVERY_MS, () => this.begin());
  }

  end(): void {
    this.#isOver = true;
  }

  #look(): void {
    this.#lookAtSides();
    this.#lookAtLeaders();
    if (this.#areClientsPromised) this.#lookAtClients();
  }

  #lookAtSides(): void {
    const { events, floating, options } = this.#world;
    const before = this.#sides;
    this.#sides = new Map();
    // Whoever does not hold it yet does not take it while a stranger answers, and until it is sure that none does.
    if (floating.hasStranger) this.#strangerAt = events.now;
    if (events.now - this.#strangerAt < STRANGER_GONE_MS) return;
    for (const nodes of this.#sidesNow()) {
      const key = nodes.map(({ id, starts, sleep }) => `${id}:${starts}:${sleep.wokenAt}`).join();
      const term = Math.max(...nodes.map(({ status }) => status?.term ?? 0));
      const side = before.get(key) ?? newSide(nodes, term, events.now);
      this.#sides.set(key, side);
      const voters = nodes.find(({ status }) => status !== undefined)?.status?.voters ?? [];
      const present = nodes.filter(({ id }) => voters.includes(id as never)).length;
      const hasMajority = present * 2 > voters.length;
      const limit = (hasMajority ? ELECTION_MS : STAND_IN_MS)[options.timing];
      // A minority elects nobody: a new term shows that between two looks it was none.
      const wasInterrupted = !hasMajority && term !== side.term;
      side.term = term;
      const isHeld = nodes.some(({ index }) => floating.isOn(index));
      const hasChanged = this.#hasChanged(nodes);
      if (this.#areTablesPromised) this.#lookAtTables(side, hasChanged);
      if (wasInterrupted || isHeld || hasChanged) side.since = events.now;
      if (events.now - side.since <= limit) continue;
      const names = nodes.map(({ id }) => id).join(" and ");
      throw new CheckFailure("address answers", `nobody of ${names} has held it since ${side.since} ms`);
    }
  }

  /** A client goes on sending to the machine that it knows for as long as that is there, up to a minute. */
  #lookAtTables(side: Side, hasChanged: boolean): void {
    const { events, floating } = this.#world;
    const holders = side.nodes.filter(({ index }) => floating.isOn(index));
    const holder = holders.length === 1 ? holders[0]?.index : undefined;
    if (hasChanged || holder !== side.holder) side.heldSince = events.now;
    side.holder = holder;
    if (holder === undefined || events.now - side.heldSince <= KNOWN_MS) return;
    for (const { index, id } of side.nodes) {
      const entry = floating.arpEntryOf(index);
      if (entry === undefined || entry === holder || index === holder) continue;
      // It took the address later, and was heard, though it hears nobody: its way was cut in one direction first. The next announcement comes within 30 s.
      if (floating.isOn(entry) && floating.heldSince(entry) > floating.heldSince(holder)) continue;
      throw new CheckFailure(
        "address answers",
        `${id} has not heard for ${KNOWN_MS} ms that machine ${holder} holds it, and not ${entry}`,
      );
    }
  }

  /** For a moment since the last look a way of theirs was open that is blocked, or blocked that is open: they had another leader in sight, or none. */
  #hasChanged(nodes: readonly SimNode[]): boolean {
    const { network, events } = this.#world;
    const isFresh = (a: SimNode, b: SimNode): boolean =>
      network.changedAt(a.index, b.index) > events.now - LOOK_EVERY_MS;
    return nodes.some((a) => this.#world.nodes.some((b) => isFresh(a, b)));
  }

  /** Only nodes that serve and belong to a cluster. */
  #sidesNow(): readonly (readonly SimNode[])[] {
    const { network, events } = this.#world;
    const able = this.#world.nodes.filter(({ process, assembly, status, disk }) => {
      const isWell = process?.isPaused === false && disk.faults.stalledUntil <= events.now;
      return isWell && assembly?.isServing === true && status?.cluster !== undefined;
    });
    const powered = this.#world.nodes.filter(({ isPowered }) => isPowered);
    const sides: SimNode[][] = [];
    for (const node of able) {
      const reached = able.filter((other) => other === node || network.isClear(node.index, other.index));
      if (reached[0] !== node) continue;
      const others = powered.filter((other) => !reached.includes(other));
      const isSide = reached.every(
        (a) =>
          reached.every((b) => a === b || network.isClear(a.index, b.index)) &&
          others.every((b) => network.isApart(a.index, b.index)),
      );
      if (isSide) sides.push(reached);
    }
    return sides;
  }

  #lookAtLeaders(): void {
    const { nodes, floating, events } = this.#world;
    for (const node of nodes) {
      const { status, process, index } = node;
      const isStuck =
        status?.isDiskStalled === true && status.voters.length > 1 && process?.isPaused === false;
      const isBad =
        isStuck &&
        status.role === "leader" &&
        floating.isOn(index) &&
        // Without it, it holds the address as a stand-in: nobody else can.
        node.sleep.leaseUntil(status) > events.now;
      if (!isBad) this.#stalledSince.delete(node);
      else if (!this.#stalledSince.has(node)) this.#stalledSince.set(node, events.now);
      else if (events.now - (this.#stalledSince.get(node) ?? 0) > STALLED_HOLDER_MS)
        throw new CheckFailure(
          "address answers",
          `${node.id} leads and holds it with a disk that stands still`,
        );
      const { wokenAt, heldAsleep } = node.sleep;
      if (
        heldAsleep &&
        wokenAt > 0 &&
        events.now - wokenAt > WOKEN_HOLDER_MS &&
        floating.heldSince(index) < wokenAt &&
        process?.isPaused === false
      )
        throw new CheckFailure("address answers", `${node.id} has slept and still holds it`);
    }
  }

  #lookAtClients(): void {
    const { floating, events, network, nodes } = this.#world;
    this.#noteLinks();
    const holders = nodes.filter(({ index }) => floating.isOn(index));
    const [holder] = holders;
    if (holders.length !== 1 || holder?.process?.isPaused !== false) this.#holder = undefined;
    else if (this.#holder?.machine !== holder.index)
      this.#holder = { machine: holder.index, since: events.now };
    for (const stream of network.open) {
      if (stream.other.localAddress !== floating.address) continue;
      const seenSince = this.#seenSince.get(stream) ?? events.now;
      this.#seenSince.set(stream, seenSince);
      const { machine, since } = this.#holder ?? { machine: stream.other.machine, since: 0 };
      if (stream.other.machine === machine) continue;
      const link = this.#linked.get(pairOf(stream.other.machine, machine));
      const isKnown =
        link !== undefined &&
        link.until - link.since > LINKED_MS &&
        seenSince < link.until - LINKED_MS &&
        since - link.until < LINK_LOST_MS &&
        events.now - since >= TICKLED_MS;
      // What was tickled while it could not be reached is tickled no more.
      if (!network.isClear(stream.machine, machine)) this.#blockedAt.set(stream, events.now);
      if (!isKnown || (this.#blockedAt.get(stream) ?? 0) >= since) continue;
      throw new CheckFailure(
        "clients come back",
        `${stream.other.remoteAddress} believes in its connection to the past holder, ${events.now - since} ms after ${nodes[machine]?.id} took the address`,
      );
    }
  }

  /** Since when and until when two nodes had a link. */
  #noteLinks(): void {
    const { nodes, events } = this.#world;
    for (const [at, a] of nodes.entries()) {
      for (const b of nodes.slice(at + 1)) {
        if (
          !this.#world.areLinked(a.id, b.id) ||
          a.process?.isPaused !== false ||
          b.process?.isPaused !== false
        )
          continue;
        const key = pairOf(a.index, b.index);
        const link = this.#linked.get(key);
        if (link === undefined || events.now - link.until > 2 * LOOK_EVERY_MS)
          this.#linked.set(key, { since: events.now, until: events.now });
        else link.until = events.now;
      }
    }
  }
}

function newSide(nodes: readonly SimNode[], term: number, now: number): Side {
  return { nodes, since: now, term, holder: undefined, heldSince: now };
}

function pairOf(a: number, b: number): string {
  return `${Math.min(a, b)} ${Math.max(a, b)}`;
}
