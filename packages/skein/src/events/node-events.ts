/**
 * The fail-over log at work in a node: feeds it, keeps it on disk, and exchanges it with the other nodes.
 *
 * The coordinator tells all nodes what it has noted when it is complete, and tells a node whose link comes up the
 * newest events: it was away when they happened.
 */

import type { NodeId } from "@skein/kernel";
import { EventFile, type EventFilePorts, loadEvents } from "./event-file.ts";
import { decodeEvents, encodeEvents, FRAME_EVENTS_MAX } from "./event-frame.ts";
import { EventLog } from "./event-log.ts";
import type { EventKind, EventNode, MeshEvent } from "./mesh-event.ts";
import type { MeshView } from "./mesh-view.ts";

export interface NodeEventsPorts extends EventFilePorts {
  /** What this node sees now. */
  readonly view: () => MeshView;
  readonly send: (to: NodeId, bytes: Uint8Array) => void;
}

/** While clients are expected back their number is looked at this often. */
const BUSY_TICK_MS = 100;

export class NodeEvents {
  readonly #ports: NodeEventsPorts;
  readonly #log: EventLog;
  readonly #file: EventFile;
  /** Version of the log that was told and stored last. */
  #version = -1;
  readonly #told = new Map<string, string>();
  #linked: ReadonlySet<string> = new Set();
  #isTimerSet = false;
  #isStopped = false;

  constructor(self: EventNode, incarnation: number, ports: NodeEventsPorts) {
    this.#ports = ports;
    this.#log = new EventLog({ self, incarnation, events: loadEvents(ports) });
    this.#file = new EventFile(ports);
  }

  /** Oldest first. */
  get list(): readonly MeshEvent[] {
    return this.#log.events;
  }

  /** Call it whenever something may have changed, and about once a second. */
  observe(): void {
    if (this.#isStopped) return;
    const { clock } = this.#ports;
    const view = this.#ports.view();
    this.#log.observe(view, clock.monotonicMs(), clock.wallMs());
    this.#tell(view);
    this.#file.update(this.#log.version, () => this.#log.events);
    if (this.#log.isBusy) this.#lookAgainSoon();
  }

  /** Something that only one part of the node knows of. */
  note(kind: EventKind, nodes: readonly EventNode[], detail: string): void {
    const { clock } = this.#ports;
    this.#log.note(kind, nodes, detail, clock.monotonicMs(), clock.wallMs());
  }

  /** The same for what other nodes note as well, under the same `id`. */
  noteShared(id: string, kind: EventKind, detail: string): void {
    const { clock } = this.#ports;
    this.#log.noteShared(id, kind, detail, clock.monotonicMs(), clock.wallMs());
  }

  /** A frame of another node. Whatever it holds, this never throws. */
  receive(bytes: Uint8Array): void {
    for (const { event, agoMs } of decodeEvents(bytes))
      this.#log.told(event, agoMs, this.#ports.clock.wallMs());
  }

  stop(): void {
    this.#isStopped = true;
  }

  #lookAgainSoon(): void {
    if (this.#isTimerSet) return;
    this.#isTimerSet = true;
    this.#ports.clock.after(BUSY_TICK_MS, () => {
      this.#isTimerSet = false;
      this.observe();
    });
  }

  #tell(view: MeshView): void {
    const linked = new Set(view.members.filter(({ isLinked }) => isLinked).map(({ id }) => id));
    const before = this.#linked;
    this.#linked = linked;
    const isCoordinator = view.coordinator === view.self;
    if (isCoordinator)
      for (const id of linked) if (!before.has(id)) this.#send(id, this.#complete().slice(-FRAME_EVENTS_MAX));
    if (this.#version === this.#log.version) return;
    this.#version = this.#log.version;
    const news = this.#complete().filter((event) => {
      const { observer, to } = event;
      // Who took over tells of it, even if another one coordinates by the time the last client is back.
      const isTeller = observer.id === view.self && (isCoordinator || to?.id === view.self);
      return isTeller && this.#told.get(event.id) !== JSON.stringify(event);
    });
    if (news.length === 0) return;
    for (const event of news) this.#told.set(event.id, JSON.stringify(event));
    this.#forget();
    for (const id of linked) this.#send(id, news);
  }

  #complete(): readonly MeshEvent[] {
    return this.#log.events.filter(({ isOver }) => isOver);
  }

  #forget(): void {
    const known = new Set(this.#log.events.map(({ id }) => id));
    for (const id of this.#told.keys()) if (!known.has(id)) this.#told.delete(id);
  }

  #send(to: string, events: readonly MeshEvent[]): void {
    if (events.length === 0) return;
    const wallMs = this.#ports.clock.wallMs();
    const told = events.map((event) => ({ agoMs: Math.max(0, wallMs - event.startMs), event }));
    this.#ports.send(to as NodeId, encodeEvents(told));
  }
}
