/**
 * The fail-over log of one node: watches the mesh and makes one event of each outage, join, leave and alarm.
 *
 * A pure core: it is shown the mesh at each change and once a second (mesh-view.ts), and compares. What begins within a few seconds and belongs
 * together goes into one incident (incident.ts); a blip that changes nothing is dropped. Events of other nodes are
 * taken over: the new coordinator measures best when its clients came back, and a node that was away has seen nothing.
 */

import { PLAUSIBLE_WALL_MS } from "../status/wall-clock.ts";
import { ClientPeaks } from "./client-peaks.ts";
import { Incident, nodeOf } from "./incident.ts";
import {
  boundedDetail,
  EVENT_NODES_MAX,
  type EventCause,
  type EventKind,
  type EventNode,
  type MeshEvent,
} from "./mesh-event.ts";
import type { MeshView, ViewedMember } from "./mesh-view.ts";

/** Events kept, the newest. */
export const EVENTS_MAX = 200;
/** Nodes that are lost within this time are lost together; an election that follows a loss is part of it. */
const TOGETHER_MS = 3000;
const RELATED_MS = 15_000;
/** A loss that has changed nothing within this time, and is over, was a blip. */
const BLIP_MS = 7000;
const INCIDENTS_MAX = 32;
/** Two nodes do not note the start of one event at the same moment. */
const SAME_START_MS = 15_000;
/** A step of the wall clock; below it is drift. */
const CLOCK_STEP_MS = 2000;

/** What {@link EventLog} starts from. */
export interface EventLogOptions {
  readonly self: EventNode;
  readonly incarnation: number;
  /** Of earlier runs, oldest first. */
  readonly events: readonly MeshEvent[];
}

export class EventLog {
  readonly #self: EventNode;
  readonly #incarnation: number;
  readonly #peaks = new ClientPeaks();
  /** By id, oldest first. */
  readonly #events = new Map<string, MeshEvent>();
  /** Ids of events that this run has noted itself, whose monotonic time is known. */
  readonly #own = new Set<string>();
  #incidents: Incident[] = [];
  #view: MeshView | undefined;
  #wallOffset: number | undefined;
  #count = 0;
  #version = 0;

  constructor({ self, incarnation, events }: EventLogOptions) {
    this.#self = self;
    this.#incarnation = incarnation;
    for (const event of events.slice(-EVENTS_MAX)) this.#events.set(event.id, { ...event, isOver: true });
  }

  /** Oldest first; those that still go on included. */
  get events(): readonly MeshEvent[] {
    return [...this.#events.values()].sort((a, b) => a.startMs - b.startMs);
  }

  /** Grows with every change of an event that is over. */
  get version(): number {
    return this.#version;
  }

  /** Something goes on whose times are being taken: look often. */
  get isBusy(): boolean {
    return this.#incidents.some(({ isOver }) => !isOver);
  }

  /** Looks at the mesh. `now`: monotonic, `wallMs`: what the wall clock shows at that moment. */
  observe(view: MeshView, now: number, wallMs: number): void {
    this.#observeClock(now, wallMs);
    const before = this.#view;
    this.#view = view;
    if (before !== undefined) {
      this.#observeConfiguration(before, view, now, wallMs);
      this.#observeLosses(before, view, now);
      this.#observeChanges(before, view, now);
    }
    this.#peaks.observe(view, now);
    for (const incident of this.#incidents) this.#observeIncident(incident, view, now, wallMs);
    this.#incidents = this.#incidents.filter((incident) => !isDone(incident, now));
  }

  /** Notes something that only its own part of the node knows: an alarm. */
  note(kind: EventKind, nodes: readonly EventNode[], detail: string, now: number, wallMs: number): void {
    this.#add(kind, "reported", nodes, boundedDetail(detail), now, wallMs);
  }

  /** The same for what many nodes notice, each for itself, and call by the same `id`: a merge, a conflict. It is noted once. */
  noteShared(id: string, kind: EventKind, detail: string, now: number, wallMs: number): void {
    if (!this.#events.has(id)) this.#add(kind, "reported", [], boundedDetail(detail), now, wallMs, id);
  }

  /**
   * Another node tells of `event`, which began `agoMs` ago. Its measurements are better than this node's if it took over itself.
   */
  told(event: MeshEvent, agoMs: number, wallMs: number): void {
    const startMs = wallMs - agoMs;
    const known = this.#events.get(event.id) ?? this.#sameAs(event, startMs);
    if (known === undefined) {
      this.#put({ ...event, startMs, isClockDoubtful: wallMs < PLAUSIBLE_WALL_MS });
      return;
    }
    const isAuthority = (one: MeshEvent): boolean => one.observer.id === one.to?.id;
    if (isAuthority(known) && !(isAuthority(event) && event.observer.id === known.observer.id)) return;
    const { startMs: shown, startMonotonicMs, isClockDoubtful } = known;
    const returnedAfterMs = event.returnedAfterMs ?? known.returnedAfterMs;
    const merged = { ...event, startMs: shown, startMonotonicMs, isClockDoubtful, returnedAfterMs };
    if (JSON.stringify(merged) === JSON.stringify(known)) return;
    this.#incidents = this.#incidents.filter(({ id }) => id !== known.id);
    this.#events.delete(known.id);
    this.#own.delete(known.id);
    this.#put(merged);
  }

  /** A step of the wall clock (NTP after the start) also corrects what was noted before. */
  #observeClock(now: number, wallMs: number): void {
    const offset = wallMs - now;
    if (this.#wallOffset !== undefined && Math.abs(offset - this.#wallOffset) < CLOCK_STEP_MS) return;
    const isStep = this.#wallOffset !== undefined;
    this.#wallOffset = offset;
    if (!isStep) return;
    for (const id of this.#own) {
      const event = this.#events.get(id);
      if (event === undefined) continue;
      const isClockDoubtful = wallMs < PLAUSIBLE_WALL_MS;
      this.#put({ ...event, startMs: Math.round(event.startMonotonicMs + offset), isClockDoubtful });
    }
  }

  #observeConfiguration(before: MeshView, view: MeshView, now: number, wallMs: number): void {
    // When this node itself joins it learns of everybody.
    if (before.configured.length === 0 || view.configured.length === 0) return;
    for (const id of view.configured) {
      const node = nodeOf(view, id);
      if (!before.configured.includes(id) && id !== view.self && node !== undefined)
        this.#add("join", "added", [node], "", now, wallMs);
    }
    for (const id of before.configured) {
      const node = nodeOf(view, id);
      if (!view.configured.includes(id) && node !== undefined)
        this.#add("leave", "removed", [node], "", now, wallMs);
    }
  }

  #observeLosses(before: MeshView, view: MeshView, now: number): void {
    for (const member of view.members) {
      const known = before.members.find(({ id }) => id === member.id);
      if (known === undefined || !isLoss(known, member) || member.id === view.self) continue;
      if (this.#incidents.some(({ lost }) => lost.get(member.id)?.isBack === false)) continue;
      this.#incidentFor(member, before, now).lose(member, now);
    }
  }

  #observeChanges(before: MeshView, view: MeshView, now: number): void {
    const hasChanged =
      before.coordinator !== view.coordinator ||
      before.hasQuorum !== view.hasQuorum ||
      before.holder !== view.holder;
    // Before there was a coordinator nothing was handed over.
    if (!hasChanged || (before.coordinator === undefined && before.holder === undefined)) return;
    if (this.#incidents.some(({ startedAt, isOver }) => !isOver || now - startedAt < RELATED_MS)) return;
    this.#begin(before, now);
  }

  /** The incident that the loss of `member` is part of. */
  #incidentFor(member: ViewedMember, before: MeshView, now: number): Incident {
    const isStop = member.state === "left";
    for (const incident of this.#incidents) {
      const { lost, from, coordinatorBefore, startedAt } = incident;
      const isItsOwn = from?.id === member.id || coordinatorBefore?.id === member.id;
      if (lost.size === 0 && isItsOwn && now - startedAt < RELATED_MS) return incident;
      // Who stops in order stops for a reason of its own; those that fall silent together share theirs.
      if (lost.size > 0 && !isStop && !incident.isPlanned && now - incident.lastLossAt < TOGETHER_MS)
        return incident;
    }
    return this.#begin(before, now);
  }

  #begin(before: MeshView, now: number): Incident {
    const incident = new Incident(this.#nextId(), before, this.#peaks.snapshot(), now);
    this.#incidents.push(incident);
    if (this.#incidents.length > INCIDENTS_MAX) this.#incidents.shift();
    return incident;
  }

  #observeIncident(incident: Incident, view: MeshView, now: number, wallMs: number): void {
    incident.observe(view, now);
    if (!incident.isConfirmed) return;
    this.#own.add(incident.id);
    const event = this.#eventOf(incident, wallMs - now);
    const known = this.#events.get(event.id);
    if (known === undefined || JSON.stringify(known) !== JSON.stringify(event)) this.#put(event);
  }

  #eventOf(incident: Incident, wallOffset: number): MeshEvent {
    const { startedAt } = incident;
    const known = this.#events.get(incident.id);
    const startMonotonicMs = Math.round(startedAt);
    const isSameStart = known?.startMonotonicMs === startMonotonicMs;
    const startMs = isSameStart ? known.startMs : Math.round(startedAt + wallOffset);
    const round = (value: number | null): number | null => (value === null ? null : Math.round(value));
    return {
      id: incident.id,
      kind: incident.kind,
      cause: incident.cause,
      startMs,
      startMonotonicMs,
      isClockDoubtful: startMs < PLAUSIBLE_WALL_MS,
      observer: this.#self,
      nodes: [...incident.lost.values()].slice(0, EVENT_NODES_MAX).map(({ id, name }) => ({ id, name })),
      from: incident.from ?? null,
      to: incident.to ?? null,
      coordinatorAfterMs: round(incident.coordinatorAfterMs),
      addressAfterMs: round(incident.addressAfterMs),
      clientsBefore: incident.clientsBefore,
      clientsBack: incident.clientsBack,
      firstClientAfterMs: round(incident.firstClientAfterMs),
      clients95AfterMs: round(incident.clients95AfterMs),
      lastClientAfterMs: round(incident.lastClientAfterMs),
      returnedAfterMs: round(incident.returnedAfterMs),
      isOver: incident.isOver,
      detail: "",
    };
  }

  #add(
    kind: EventKind,
    cause: EventCause,
    nodes: readonly EventNode[],
    detail: string,
    now: number,
    wallMs: number,
    id = this.#nextId(),
  ): void {
    this.#own.add(id);
    this.#put({
      id,
      kind,
      cause,
      startMs: Math.round(wallMs),
      startMonotonicMs: Math.round(now),
      isClockDoubtful: wallMs < PLAUSIBLE_WALL_MS,
      observer: this.#self,
      nodes: nodes.slice(0, EVENT_NODES_MAX),
      from: null,
      to: null,
      coordinatorAfterMs: null,
      addressAfterMs: null,
      clientsBefore: 0,
      clientsBack: 0,
      firstClientAfterMs: null,
      clients95AfterMs: null,
      lastClientAfterMs: null,
      returnedAfterMs: null,
      isOver: true,
      detail,
    });
  }

  /** This node's own event of what `event` tells. */
  #sameAs(event: MeshEvent, startMs: number): MeshEvent | undefined {
    return this.events.findLast((known) => {
      if (Math.abs(known.startMs - startMs) > SAME_START_MS || known.detail !== event.detail) return false;
      if (OUTAGES.has(known.kind) !== OUTAGES.has(event.kind)) return false;
      if (known.kind === "partition" || event.kind === "partition") return OUTAGES.has(event.kind);
      if (!OUTAGES.has(event.kind) && known.kind !== event.kind) return false;
      const subjects = (one: MeshEvent): readonly string[] =>
        [...one.nodes, ...(one.nodes.length === 0 && one.from !== null ? [one.from] : [])].map(
          ({ id }) => id,
        );
      return subjects(known).some((id) => subjects(event).includes(id));
    });
  }

  #put(event: MeshEvent): void {
    this.#events.set(event.id, event);
    for (const id of [...this.#events.keys()].slice(0, Math.max(0, this.#events.size - EVENTS_MAX))) {
      this.#events.delete(id);
      this.#own.delete(id);
    }
    if (event.isOver) this.#version++;
  }

  #nextId(): string {
    return `${this.#self.id}-${this.#incarnation}-${++this.#count}`;
  }
}

/** What costs clients their connection. */
const OUTAGES: ReadonlySet<EventKind> = new Set(["failover", "handover", "election", "partition", "loss"]);

function isLoss(before: ViewedMember, after: ViewedMember): boolean {
  return before.state === "alive" && after.state !== "alive";
}

/** Nothing of it is awaited: not even the return of who was lost. */
function isDone(incident: Incident, now: number): boolean {
  if (!incident.isConfirmed) {
    const isOver = [...incident.lost.values()].every(({ isBack }) => isBack);
    return isOver && now - incident.startedAt > BLIP_MS;
  }
  return incident.isOver && (incident.lost.size === 0 || incident.returnedAfterMs !== null);
}
