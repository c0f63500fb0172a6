/**
 * What a node knows about itself and its mesh beyond what it needs to work: status, fail-over log, reports of the others.
 *
 * It only looks; nothing in the node depends on it.
 */

import type { Broker } from "@skein/broker";
import type { Coordinator, FloatingAddress, Identity, MergeNews, OutdatedNews } from "@skein/coordinator";
import type { Clock, Disk, Log, NodeId } from "@skein/kernel";
import type { Mesh } from "@skein/mesh";
import { addressHolder } from "./address-holder.ts";
import { EVENT_FRAME } from "./events/event-frame.ts";
import { mergeEvents, outdatedEvent, waitingMergeEvent } from "./events/merge-events.ts";
import type { MeshView } from "./events/mesh-view.ts";
import { NodeEvents } from "./events/node-events.ts";
import { type NodeStatus, nodeStatus, type StatusInputs } from "./node-status.ts";
import { type NodeReport, REPORT_FRAME } from "./reports/node-report.ts";
import { ReportExchange } from "./reports/report-exchange.ts";
import { ChangedNodes, type NodesView, successorsIn } from "./status/changed-nodes.ts";
import { FlappingClients } from "./status/flapping-clients.ts";
import { FullQueues } from "./status/full-queues.ts";
import { MulticastWatch } from "./status/multicast-watch.ts";
import { type Note, NoteNews } from "./status/note.ts";
import { notesOf } from "./status/notes.ts";
import { Since } from "./status/since.ts";
import { SurplusSessionsWatch } from "./status/surplus-sessions.ts";

/** What is worth knowing is looked for this often. */
const NOTES_EVERY_MS = 5000;

/** The node's layers, as they are made. */
export interface WatchedNode {
  readonly identity: Identity;
  readonly broker: Broker;
  readonly mesh: Mesh;
  readonly coordinator: Coordinator;
  readonly floatingAddress: FloatingAddress | undefined;
  readonly isServing: boolean;
  readonly isStopping: boolean;
  readonly hasParted: boolean;
}

export interface WatchOptions {
  readonly mesh: string;
  readonly name: string;
  readonly timing: "lan" | "wired";
  /** The floating address; undefined: the mesh has none. */
  readonly address: string | undefined;
  /** `host:port` of peers that it was told to dial. */
  readonly peers: readonly string[];
}

/** Of the process, for the status; zero and empty where it is not known. */
export interface Vitals {
  readonly version: string;
  /** When this build was made; undefined: run from the sources. */
  readonly builtAt?: string | undefined;
  readonly memoryBytes: number;
}

export interface WatchPorts {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly log: Log;
  readonly vitals: () => Vitals;
}

export class NodeWatch {
  readonly events: NodeEvents;
  readonly #node: WatchedNode;
  readonly #options: WatchOptions;
  readonly #ports: WatchPorts;
  readonly #reports: ReportExchange;
  readonly #since = new Since();
  readonly #flapping: FlappingClients;
  readonly #changed: ChangedNodes;
  readonly #multicast = new MulticastWatch();
  readonly #fullQueues = new FullQueues();
  readonly #surplus = new SurplusSessionsWatch();
  readonly #news = new NoteNews();
  #notedAt = Number.NEGATIVE_INFINITY;
  #isStopped = false;

  constructor(node: WatchedNode, options: WatchOptions, ports: WatchPorts) {
    this.#node = node;
    this.#options = options;
    this.#ports = ports;
    this.#changed = new ChangedNodes(options.peers);
    const { identity, mesh, broker } = node;
    this.#flapping = new FlappingClients(identity.node);
    const send = (to: NodeId, bytes: Uint8Array): void => mesh.sendControl(to, bytes);
    this.events = new NodeEvents({ id: identity.node, name: options.name }, identity.incarnation, {
      ...ports,
      view: () => this.#view(),
      send,
    });
    this.#reports = new ReportExchange({
      clock: ports.clock,
      send,
      linked: () =>
        new Map(mesh.members.filter(({ isLinked }) => isLinked).map(({ id, rttMs }) => [id, rttMs])),
      own: () => ({
        version: ports.vitals().version,
        memoryBytes: ports.vitals().memoryBytes,
        addressProblem: node.floatingAddress?.problem ?? "",
        lags: this.#lags(),
        returned: Object.fromEntries([...successorsIn(this.#nodes())].map(([old, { id }]) => [old, id])),
        isDiverged: node.coordinator.status.isDiverged,
        isAnnounced: mesh.multicast !== undefined,
        takeovers: this.#flapping.told(ports.clock.monotonicMs()),
      }),
      messages: () => broker.counters.publishesReceived,
    });
  }

  /** Something may have changed. */
  observe(): void {
    if (this.#isStopped) return;
    this.#since.observe(this.#view(), this.#ports.clock.monotonicMs());
    const now = this.#ports.clock.monotonicMs();
    this.#changed.observe(this.#node.mesh.members, now);
    this.#multicast.observe(this.#node.mesh.members, now);
    this.#fullQueues.observe({ sessions: this.#node.coordinator.sessions, now });
    this.#surplus.observe(this.#node.coordinator.sessions.surplus, now);
    this.#noteWaitingMerge();
    this.events.observe();
  }

  /** Another cluster is in this one now. */
  merged(news: MergeNews): void {
    for (const { id, kind, detail } of mergeEvents(news)) this.events.noteShared(id, kind, detail);
  }

  /** What was written without a quorum has another value now, or is one of two. */
  outdated(news: OutdatedNews): void {
    const { id, kind, detail } = outdatedEvent(news);
    this.events.noteShared(id, kind, detail);
  }

  /** The same, and what is due from time to time. About once a second. */
  tick(): void {
    if (this.#isStopped) return;
    this.observe();
    this.#reports.tick();
    this.#logNotes();
  }

  /** Takes a control frame that is meant for it. False: it is for the coordinator. */
  receive(from: NodeId, bytes: Uint8Array): boolean {
    if (bytes[0] === EVENT_FRAME) this.events.receive(bytes);
    else if (bytes[0] === REPORT_FRAME) this.#reports.receive(from, bytes);
    else return false;
    return true;
  }

  /** A connection of `clientId` from one address was taken over by one from another, or by one on another node. */
  takenOver(clientId: string, from: string, by: string): void {
    this.#flapping.takenOver(clientId, from, by, this.#ports.clock.monotonicMs());
  }

  stop(): void {
    this.#isStopped = true;
    this.events.stop();
  }

  status(): NodeStatus {
    return nodeStatus(this.#statusInputs());
  }

  #noteWaitingMerge(): void {
    const event = waitingMergeEvent(this.#node.coordinator.status);
    if (event !== undefined) this.events.noteShared(event.id, event.kind, event.detail);
  }

  #logNotes(): void {
    const now = this.#ports.clock.monotonicMs();
    if (now - this.#notedAt < NOTES_EVERY_MS) return;
    this.#notedAt = now;
    const isCoordinator = this.#node.coordinator.status.role === "leader";
    for (const { text, isAlarm } of this.#news.of(notesOf(this.#statusInputs()), now)) {
      this.#ports.log.warn({}, text);
      if (isAlarm === true && isCoordinator) this.events.note("alarm", [], text);
    }
  }

  #statusInputs(): StatusInputs {
    const now = this.#ports.clock.monotonicMs();
    const { identity, coordinator, broker, floatingAddress, mesh, isServing, isStopping, hasParted } =
      this.#node;
    const { name, timing, address } = this.#options;
    return {
      mesh: this.#options.mesh,
      node: identity.node,
      name,
      timing,
      isServing,
      isStopping,
      hasParted,
      coordinator: coordinator.status,
      lags: coordinator.replicaHealth.lags,
      now: this.#ports.clock.monotonicMs(),
      members: mesh.members,
      heardAt: (node) => mesh.heardAt(node),
      floatingAddress:
        address === undefined || floatingAddress === undefined
          ? undefined
          : {
              address,
              isHeld: floatingAddress.isHeld,
              problem: floatingAddress.problem,
              warnings: floatingAddress.warnings,
            },
      clients: broker.clientCount,
      retained: coordinator.retained.count,
      ownReport: this.#reports.own,
      reportOf: (node) => this.#reports.of(node),
      since: this.#since,
      changes: [
        ...this.#flappingNotes(),
        ...this.#changed.notes(this.#nodes()),
        ...this.#multicastNotes(),
        ...this.#fullQueues.notes({
          sessions: coordinator.sessions,
          nameOf: (node) => coordinator.known.nameOf(node),
          now,
        }),
        ...this.#surplus.notes(now),
      ],
      fullQueues: this.#fullQueues.list({ sessions: coordinator.sessions, now }),
      counters: {
        links: mesh.counters,
        store: { ...coordinator.counters, passedByAllQueues: coordinator.sessions.passed.inAll },
      },
    };
  }

  #flappingNotes(): readonly Note[] {
    const { coordinator, mesh } = this.#node;
    const told = mesh.members.flatMap(({ id }) => {
      const report = this.#reports.of(id);
      return report === undefined ? [] : [{ node: id, ...report }];
    });
    const nameOf = (node: NodeId): string | undefined => coordinator.known.nameOf(node);
    return this.#flapping.notes({ told, nameOf, now: this.#ports.clock.monotonicMs() });
  }

  #multicastNotes(): readonly Note[] {
    const { members, multicast } = this.#node.mesh;
    const announces = (node: NodeId): boolean | undefined => this.#reports.of(node)?.isAnnounced;
    return this.#multicast.notes({ members, multicast, announces, now: this.#ports.clock.monotonicMs() });
  }

  /** Who belongs to the mesh now, and who did. */
  #nodes(): NodesView {
    const { identity, coordinator, mesh } = this.#node;
    const { voters, learners } = coordinator.status;
    const { members } = mesh;
    return {
      self: identity.node,
      members,
      configured: [...voters, ...learners],
      now: this.#ports.clock.monotonicMs(),
      heardAt: (node) => mesh.heardAt(node),
      nameOf: (node) => coordinator.known.nameOf(node),
      renamed: (node) => coordinator.known.renamed(node),
      told: members.map(({ id }) => this.#reports.of(id)?.returned ?? {}),
    };
  }

  /** What the other replicas lack, if this node leads. */
  #lags(): NodeReport["lags"] {
    const { status, replicaHealth } = this.#node.coordinator;
    if (status.role !== "leader") return undefined;
    return Object.fromEntries([...replicaHealth.lags].filter(([, lag]) => lag > 0));
  }

  /** What the fail-over log is made from. */
  #view(): MeshView {
    const { identity, coordinator, mesh, broker, floatingAddress } = this.#node;
    const { node } = identity;
    const { coordinator: leader, hasQuorum, voters, learners } = coordinator.status;
    const { members } = mesh;
    const isHeld = floatingAddress?.isHeld ?? false;
    return {
      self: node,
      members: members.map(({ id, name, state, isLinked, clients }) => {
        const own = id === node ? broker.clientCount : clients;
        return { id, name, state, isLinked, clients: own, heardAt: mesh.heardAt(id) };
      }),
      coordinator: leader,
      hasQuorum,
      hasAddress: floatingAddress !== undefined,
      holder: addressHolder({ node, isHeld, coordinator: leader, members }),
      configured: [...voters, ...learners],
    };
  }
}
