/**
 * One entry of the fail-over log: what happened to the mesh, and how long its clients went without.
 *
 * An outage is one event, from its cause to the last client that came back, not a line for each step of it. The same
 * form stands in memory, in the file, in frames between nodes and in the answer of /api/events; what comes from a file
 * or a peer passes {@link parseEvent}, which takes nothing on trust.
 */

const EVENT_KINDS = [
  /** Coordinator or holder of the address was lost; another one took over. */
  "failover",
  /** The same in order: it stopped, or the address was moved on purpose. */
  "handover",
  /** The coordinator was not heard for a while; it is still there. */
  "election",
  /** Several nodes were lost at once. */
  "partition",
  /** Another node was lost. */
  "loss",
  /** A node became part of the cluster. */
  "join",
  /** A node stopped in order, or is no longer part of the cluster. */
  "leave",
  /** Two clusters of one mesh met. */
  "merge",
  /** Two values of one thing met, and one was set aside. */
  "conflict",
  /** Something the operator should look at. */
  "alarm",
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

const EVENT_CAUSES = [
  /** It fell silent: power, network, or a process that stands still. */
  "silent",
  /** Its connections were closed at once: its process ended without a word. */
  "ended",
  /** It said goodbye. */
  "stopped",
  /** It is still there: moved on purpose. */
  "moved",
  /** It was not heard in time. */
  "unheard",
  "added",
  "removed",
  /** See `detail`. */
  "reported",
] as const;
export type EventCause = (typeof EVENT_CAUSES)[number];

/** A node as it was called then. */
export interface EventNode {
  readonly id: string;
  readonly name: string;
}

/** Times named `...AfterMs` count from the start; null: it did not happen (yet). */
export interface MeshEvent {
  /** Unique in the mesh. */
  readonly id: string;
  readonly kind: EventKind;
  readonly cause: EventCause;
  /** By the wall clock of `observer`, in ms since 1970. */
  readonly startMs: number;
  /** The same by its monotonic clock, which never steps but starts with the machine. */
  readonly startMonotonicMs: number;
  /** The wall clock had not been set. */
  readonly isClockDoubtful: boolean;
  /** Whose measurements these are. */
  readonly observer: EventNode;
  /** Who was lost, came or went. */
  readonly nodes: readonly EventNode[];
  /** Who coordinated, or held the address, before and after. */
  readonly from: EventNode | null;
  readonly to: EventNode | null;
  readonly coordinatorAfterMs: number | null;
  /** Null as well where there is no floating address, or it stayed. */
  readonly addressAfterMs: number | null;
  /** Clients of the nodes that were lost, and how many of them are back. */
  readonly clientsBefore: number;
  readonly clientsBack: number;
  readonly firstClientAfterMs: number | null;
  /** 95 % of them. */
  readonly clients95AfterMs: number | null;
  /** The last one of `clientsBack`. */
  readonly lastClientAfterMs: number | null;
  /** The nodes that were lost are back. */
  readonly returnedAfterMs: number | null;
  /** Nothing of it is awaited any more. */
  readonly isOver: boolean;
  readonly detail: string;
}

/** As many as a mesh has; more than this are not told. */
export const EVENT_NODES_MAX = 32;
const TEXT_MAX = 300;
const NAME_MAX = 64;

/** Reads an event that a file or a peer holds. Undefined: it is none. What is too long is cut. */
export function parseEvent(input: unknown): MeshEvent | undefined {
  if (typeof input !== "object" || input === null) return undefined;
  const fields = input as Partial<Record<keyof MeshEvent, unknown>>;
  const kind = EVENT_KINDS.find((known) => known === fields.kind);
  const cause = EVENT_CAUSES.find((known) => known === fields.cause);
  const observer = nodeIn(fields.observer);
  const startMs = numberIn(fields.startMs);
  const { id, nodes } = fields;
  if (kind === undefined || cause === undefined || observer === null || startMs === null) return undefined;
  if (typeof id !== "string" || id === "" || !Array.isArray(nodes)) return undefined;
  return {
    id: id.slice(0, NAME_MAX),
    kind,
    cause,
    startMs,
    startMonotonicMs: numberIn(fields.startMonotonicMs) ?? 0,
    isClockDoubtful: fields.isClockDoubtful === true,
    observer,
    nodes: nodes
      .slice(0, EVENT_NODES_MAX)
      .map(nodeIn)
      .filter((node) => node !== null),
    from: nodeIn(fields.from),
    to: nodeIn(fields.to),
    coordinatorAfterMs: numberIn(fields.coordinatorAfterMs),
    addressAfterMs: numberIn(fields.addressAfterMs),
    clientsBefore: numberIn(fields.clientsBefore) ?? 0,
    clientsBack: numberIn(fields.clientsBack) ?? 0,
    firstClientAfterMs: numberIn(fields.firstClientAfterMs),
    clients95AfterMs: numberIn(fields.clients95AfterMs),
    lastClientAfterMs: numberIn(fields.lastClientAfterMs),
    returnedAfterMs: numberIn(fields.returnedAfterMs),
    isOver: fields.isOver === true,
    detail: textIn(fields.detail, TEXT_MAX),
  };
}

/** `detail` as long as a frame and a line can carry it. */
export function boundedDetail(text: string): string {
  return textIn(text, TEXT_MAX);
}

function nodeIn(input: unknown): EventNode | null {
  if (typeof input !== "object" || input === null) return null;
  const { id, name } = input as { id?: unknown; name?: unknown };
  if (typeof id !== "string" || typeof name !== "string") return null;
  return { id: textIn(id, NAME_MAX), name: textIn(name, NAME_MAX) };
}

function numberIn(input: unknown): number | null {
  return typeof input === "number" && Number.isFinite(input) && Math.abs(input) < 8.64e15
    ? Math.round(input)
    : null;
}

function textIn(input: unknown, lengthMax: number): string {
  return typeof input === "string" ? input.slice(0, lengthMax) : "";
}
