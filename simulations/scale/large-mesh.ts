/**
 * The mesh layer of one node in a mesh too large for whole nodes: one real mesh, all others puppets that have a link to it.
 *
 * Simulated: the real node with all its links, member rows, digests, heartbeats and subscriptions, in virtual time with 1 ms per way. Not
 * simulated: the others among themselves (by symmetry as this one), brokers, and the log, which has 32 replicas at most anyway.
 */

import type { Disk, Incarnation, Log, NodeId, Stream, StreamHandler, Timer } from "@skein/kernel";
import { type Clock, type MonotonicMs, seededPrng } from "@skein/kernel";
import { factsOfNewcomer, type Member, Mesh } from "@skein/mesh";
import { DEAD_AFTER_MS, HEARTBEAT_OF_MANY_MS } from "../../packages/mesh/src/limits.ts";
import type { MemberRow } from "../../packages/mesh/src/messages.ts";
import { EventQueue } from "../../packages/testkit/src/world/event-queue.ts";
import {
  calculatedWrite,
  heapBytes,
  type Quantiles,
  quantiles,
  type ScaleFigures,
  TrafficMeter,
} from "./figures.ts";
import { Puppet } from "./puppet.ts";

const WAY_MS = 1;
/** The puppets dial, and so set the beat. */
const BEAT_MS = HEARTBEAT_OF_MANY_MS;
const DIGEST_MS = 10_000;
const REDIAL_MS = 1000;
const FORMED_WITHIN_MS = 60_000;
const SETTLE_MS = 20_000;
const IDLE_MS = 30_000;
const SUBSCRIPTIONS = 50;
/** Puppets that lose their power: so many, or a fifth of them. */
const POWER_CUTS_MAX = 50;
/** Within that time, so at any phase of the heartbeats. */
const POWER_CUTS_WITHIN_MS = HEARTBEAT_OF_MANY_MS;
const STEP_MS = 50;
const KNOWN_WITHIN_MS = 60_000;

export function measureLargeMesh(nodes: number): ScaleFigures {
  const heapBefore = heapBytes();
  const world = new LargeMesh(nodes);
  world.form();
  world.run(SETTLE_MS);
  const heapMiB = (heapBytes() - heapBefore) / 1024 / 1024;
  world.meter.reset();
  world.run(IDLE_MS);
  const traffic = world.meter.of(0, IDLE_MS / 1000);
  const idle = { median: traffic, replica: traffic, leader: undefined };
  const interestMs = quantiles(
    Array.from({ length: SUBSCRIPTIONS }, (_, at) => world.subscribe(`scale/${at}`)),
  );
  const convergence = measurePowerCuts(world, nodes);
  const write = calculatedWrite(nodes);
  return {
    nodes,
    kind: "mesh layer",
    formationMs: undefined,
    idle,
    interestMs,
    ...convergence,
    write,
    heapMiB,
  };
}

/** Some puppets lose their power and get it again: when does the real node know? */
function measurePowerCuts(
  world: LargeMesh,
  nodes: number,
): Pick<ScaleFigures, "suspectMs" | "deadMs" | "backMs"> {
  const count = Math.min(POWER_CUTS_MAX, Math.floor(nodes / 5));
  const struck = Array.from({ length: count }, (_, at) => 1 + at);
  const cutMs = world.soon(struck, (at) => world.cutPower(at));
  const [suspectMs, deadMs] = world.watch(struck, cutMs, [
    ({ state }) => state !== "alive",
    ({ state }) => state === "dead",
  ]);
  const startMs = world.soon(struck, (at) => world.start(at));
  const [backMs] = world.watch(struck, startMs, [({ isLinked }) => isLinked]);
  return { suspectMs, deadMs, backMs };
}

class LargeMesh {
  readonly events = new EventQueue();
  readonly meter = new TrafficMeter(2);
  readonly #prng = seededPrng(1);
  readonly #mesh: Mesh;
  readonly #rows: MemberRow[];
  /** Since when those without power are silent. */
  readonly #silentMs = new Map<NodeId, number>();
  readonly #puppets: Puppet[] = [];
  #turnEnd: (() => void)[] = [];
  #accept: ((stream: Stream) => void) | undefined;

  constructor(nodes: number) {
    this.#mesh = this.#newMesh();
    this.#rows = Array.from({ length: nodes }, (_, at) => rowOf(at));
    this.#turn(() => this.#mesh.start());
    for (let at = 1; at < nodes; at++) this.events.at(this.#prng.below(1000), () => this.#dial(at));
    this.#digestSoon();
  }

  /** Runs until the real node has a link to each puppet. */
  form(): void {
    const puppets = this.#rows.length - 1;
    const isFormed = () => this.#mesh.members.filter(({ isLinked }) => isLinked).length === puppets;
    while (!isFormed()) {
      if (this.events.now > FORMED_WITHIN_MS) throw new Error(`not formed within ${FORMED_WITHIN_MS} ms`);
      this.run(STEP_MS);
    }
  }

  run(ms: number): void {
    this.events.runUntil(this.events.now + ms);
  }

  /** Returns the ms until every puppet has acknowledged the new filter. */
  subscribe(filter: string): number {
    const startedAt = this.events.now;
    let open = Number.POSITIVE_INFINITY;
    let settled = 0;
    this.#turn(() => {
      open = this.#mesh.add(filter, { settle: () => void settled++ });
    });
    while (settled < open && this.events.now - startedAt < 10_000) this.run(1);
    return this.events.now - startedAt;
  }

  /** Does `deed` to each puppet at some moment of the next seconds; returns those moments. */
  soon(puppets: readonly number[], deed: (at: number) => void): readonly number[] {
    return puppets.map((at) => {
      const dueMs = this.events.now + this.#prng.below(POWER_CUTS_WITHIN_MS);
      this.events.at(dueMs, () => deed(at));
      return dueMs;
    });
  }

  /** From one instant to the next it says nothing, and does not close its streams. */
  cutPower(at: number): void {
    this.#silentMs.set(idOf(at), this.events.now);
    const index = this.#puppets.findIndex(({ id }) => id === idOf(at));
    if (index !== -1) this.#puppets.splice(index, 1);
  }

  /** Its process starts anew, and dials. */
  start(at: number): void {
    this.#silentMs.delete(idOf(at));
    const row = this.#rows[at] as MemberRow;
    this.#rows[at] = { ...row, incarnation: (row.incarnation + 1) as Incarnation };
    this.#dial(at);
  }

  /** Runs until each answer is yes for each of the puppets; returns for each question the quantiles of how long after `sinceMs` that was. */
  watch<const Questions extends readonly ((member: Member) => boolean)[]>(
    puppets: readonly number[],
    sinceMs: readonly number[],
    questions: Questions,
  ): { [_ in keyof Questions]: Quantiles } {
    const startedAt = this.events.now;
    const times = questions.map(() => new Map<number, number>());
    while (times.some(({ size }) => size < puppets.length)) {
      if (this.events.now - startedAt > KNOWN_WITHIN_MS)
        throw new Error(`not known within ${KNOWN_WITHIN_MS} ms`);
      this.run(STEP_MS);
      const members = new Map(this.#mesh.members.map((member) => [member.id, member]));
      for (const [index, at] of puppets.entries()) {
        const member = members.get(idOf(at));
        const waitedMs = this.events.now - (sinceMs[index] ?? 0);
        for (const [number, isSo] of questions.entries()) {
          if (member === undefined || waitedMs < 0 || times[number]?.has(at) || !isSo(member)) continue;
          times[number]?.set(at, waitedMs);
        }
      }
    }
    return times.map((known) => quantiles([...known.values()])) as { [_ in keyof Questions]: Quantiles };
  }

  #newMesh(): Mesh {
    const silent = (): void => {};
    const log: Log = { error: silent, warn: silent, info: silent, debug: silent };
    return new Mesh(
      {
        node: idOf(0),
        incarnation: 1 as Incarnation,
        mesh: "large",
        name: "real",
        linkListen: "0.0.0.0:7883",
        peers: [],
        excludedAddresses: [],
      },
      {
        clock: this.#clock(),
        prng: this.#prng,
        transport: {
          dial: () => silent,
          listen: (_address, accepted, _refused, ready) => {
            this.#accept = accepted;
            this.events.after(0, () => this.#turn(() => ready({ port: 7883, close: silent })));
          },
        },
        mdns: undefined,
        disk: NO_DISK,
        log,
        delivery: { deliver: silent, deliverPackets: () => 0, deliverShared: () => false },
        receiveControl: silent,
        receiveAddress: silent,
        membersChanged: silent,
        ready: silent,
      },
    );
  }

  #clock(): Clock {
    return {
      monotonicMs: () => this.events.now as MonotonicMs,
      wallMs: () => this.events.now,
      after: (delayMs, callback): Timer =>
        this.events.after(Math.max(0, delayMs), () => this.#turn(callback)),
      atTurnEnd: (callback) => this.#turnEnd.push(callback),
    };
  }

  #turn(input: () => void): void {
    input();
    while (this.#turnEnd.length > 0) for (const callback of this.#turnEnd.splice(0)) callback();
  }

  /** What a puppet tells of the others: who has no power was heard when it still had it, and is left out when it is dead. */
  #digest(): readonly MemberRow[] {
    return this.#rows
      .map((row) => {
        const silentMs = this.#silentMs.get(row.node);
        return silentMs === undefined ? row : { ...row, heardAgoMs: this.events.now - silentMs };
      })
      .filter(({ heardAgoMs }) => heardAgoMs < DEAD_AFTER_MS);
  }

  /** A puppet dials; one that is turned away (too many at once) tries again. */
  #dial(at: number): void {
    const { incarnation } = this.#rows[at] as MemberRow;
    const hasPower = (): boolean =>
      !this.#silentMs.has(idOf(at)) && this.#rows[at]?.incarnation === incarnation;
    let handler: StreamHandler | undefined;
    let isOpen = true;
    const later = (action: () => void): void => void this.events.after(WAY_MS, () => isOpen && action());
    const close = (): void => {
      if (!isOpen) return;
      isOpen = false;
      handler?.closed(undefined);
      if (!hasPower()) return;
      this.#puppets.splice(this.#puppets.indexOf(puppet), 1);
      this.events.after(REDIAL_MS + this.#prng.below(REDIAL_MS), () => hasPower() && this.#dial(at));
    };
    const puppet = new Puppet(
      idOf(at),
      incarnation,
      (bytes) => {
        if (!hasPower()) return;
        this.meter.carried(1, 0, bytes.length);
        later(() => this.#turn(() => handler?.received(bytes)));
      },
      () => this.#digest(),
    );
    this.#puppets.push(puppet);
    const stream: Stream = {
      remoteAddress: `${hostOf(at)}:50000`,
      localAddress: hostOf(0),
      bufferedBytes: 0,
      start: (taken) => {
        handler = taken;
      },
      write: (bytes) => {
        this.meter.carried(0, 1, bytes.length);
        later(() => puppet.received(bytes));
        return true;
      },
      pause: () => {},
      resume: () => {},
      end: close,
      reset: close,
    };
    this.#turn(() => this.#accept?.(stream));
    if (!isOpen) return;
    puppet.greet("large", at);
    const beat = (): void => {
      if (!isOpen) return;
      if (puppet.isEstablished) puppet.beat();
      this.events.after(BEAT_MS, beat);
    };
    beat();
  }

  /** Each of N nodes asks one of N others every ten seconds: this one is asked by one of them, in the mean. */
  #digestSoon(): void {
    this.events.after(DIGEST_MS, () => {
      const puppet = this.#puppets[this.#prng.below(Math.max(1, this.#puppets.length))];
      if (puppet?.isEstablished) puppet.sendDigest();
      this.#digestSoon();
    });
  }
}

const NO_DISK = {
  read: () => undefined,
  replace: (_path, _bytes, done) => done(undefined),
} as Partial<Disk> as Disk;

function idOf(at: number): NodeId {
  return at.toString(16).padStart(16, "0") as NodeId;
}

function hostOf(at: number): string {
  return `192.168.${100 + (at >> 8)}.${at & 255}`;
}

/** A row of usual length: a name, an address, a cluster, a machine. */
function rowOf(at: number): MemberRow {
  const name = `pi-${at}`;
  return {
    ...factsOfNewcomer(name),
    cluster: "00000000-0000-4000-8000-000000000000" as MemberRow["cluster"],
    machine: "00112233445566ff",
    isWired: true,
    mqttPort: 1883,
    node: idOf(at),
    incarnation: 1 as Incarnation,
    hasLeft: false,
    heardAgoMs: 500,
    address: `${hostOf(at)}:7883`,
    factsVersion: 1,
    uptimeMs: 1_000_000,
    protocolVersion: 2,
    interestVersion: 0,
  };
}
