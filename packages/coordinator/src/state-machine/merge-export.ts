/**
 * The state of a dissolved cluster in pieces, for the winner: every node of the cluster makes the same pieces of it.
 *
 * A chunk is a row of items, `kind u8 | length varint | body`, closed when it has reached the size that the DISSOLVE names (one
 * item at least). Kinds: 1 where the cluster was forked off, 2 another cluster that it has taken in, 3 a deletion, 4 a value
 * that lost in an earlier merge, 5 a retained message, 6 to 8 sessions (sessions/staged-sessions.ts), 9 a retained message that expires, with what is
 * left of its lifetime (earlier versions wrote such a one as 5). Numbers are never reused.
 * Who does not know a kind must not take the chunk: the summaries say which {@link EXPORT_FORMAT} each side knows before anything is
 * dissolved.
 *
 * Source: reference design, section 1.4, step 4.
 */

import {
  type ApplicationMessage,
  ByteReader,
  ByteWriter,
  decodeMessage,
  encodeMessage,
  isValidTopicName,
  SkeinError,
} from "@skein/kernel";
import { readClusterId } from "../wire-ids.ts";
import type { MergeRow, Parent } from "./clusters.ts";
import { readRow, writeRow } from "./clusters-codec.ts";
import { type Conflict, readConflict, writeConflict } from "./conflicts.ts";
import type { Written } from "./retained-state.ts";
import { type SessionItem, sessionItems } from "./sessions/staged-sessions.ts";
import type { StateMachine } from "./state-machine.ts";

/** The highest kind of item that this version knows; grows with each new one. */
export const EXPORT_FORMAT = 9;

const PARENT = 1;
const ROW = 2;
const DELETION = 3;
const CONFLICT = 4;
const RETAINED = 5;
const SESSION_KINDS = new Map<number, SessionItem["kind"]>([
  [6, "sessionTime"],
  [7, "owedMessage"],
  [8, "session"],
]);
const EXPIRING = 9;

export type MergeItem =
  | { readonly kind: "parent"; readonly parent: Parent }
  | { readonly kind: "row"; readonly row: MergeRow }
  | { readonly kind: "deletion"; readonly topic: string; readonly written: Written }
  | { readonly kind: "conflict"; readonly conflict: Omit<Conflict, "id"> }
  | {
      readonly kind: "retained";
      readonly message: ApplicationMessage;
      readonly written: Written;
      /** Until it expires; undefined: never, or only the stamp tells when. */
      readonly leftMs: number | undefined;
    }
  | SessionItem;

export interface Chunk {
  readonly number: number;
  readonly isLast: boolean;
  readonly bytes: Uint8Array;
}

/** Makes the chunks of a state that does not change any more. Cheap when they are asked for in order. */
export class MergeExport {
  readonly #machine: StateMachine;
  readonly #chunkBytes: number;
  readonly #out = new ByteWriter(4096);
  readonly #body = new ByteWriter(1024);
  #items: Iterator<MergeItem>;
  /** The item that begins the next chunk. */
  #ahead: IteratorResult<MergeItem>;
  #chunk: Chunk | undefined;

  constructor(machine: StateMachine, chunkBytes: number) {
    this.#machine = machine;
    this.#chunkBytes = chunkBytes;
    this.#items = itemsOf(machine);
    this.#ahead = this.#items.next();
  }

  /** Chunk `number`; undefined if there are not so many. */
  chunk(number: number): Chunk | undefined {
    if (this.#chunk?.number === number) return this.#chunk;
    if (this.#chunk !== undefined && number < this.#chunk.number) this.#rewind();
    while (this.#chunk === undefined || this.#chunk.number < number) {
      if (this.#chunk?.isLast === true) return undefined;
      this.#chunk = this.#next((this.#chunk?.number ?? -1) + 1);
    }
    return this.#chunk;
  }

  #rewind(): void {
    this.#chunk = undefined;
    this.#items = itemsOf(this.#machine);
    this.#ahead = this.#items.next();
  }

  #next(number: number): Chunk {
    this.#out.reset();
    while (this.#ahead.done !== true) {
      this.#write(this.#ahead.value);
      this.#ahead = this.#items.next();
      if (this.#out.length >= this.#chunkBytes) break;
    }
    return { number, isLast: this.#ahead.done === true, bytes: this.#out.finish() };
  }

  #write(item: MergeItem): void {
    const kind = writeItem(item, this.#body.reset());
    this.#out.u8(kind).bytes(this.#body.finish());
  }
}

/** @throws {SkeinError} ERR_SKEIN_MALFORMED, also for a kind that this version does not know */
export function readItems(bytes: Uint8Array): MergeItem[] {
  const input = new ByteReader(bytes);
  const items: MergeItem[] = [];
  while (input.remaining > 0) {
    const kind = input.u8();
    const body = new ByteReader(input.bytes());
    items.push(readItem(kind, body));
    body.end();
  }
  return items;
}

/** Clusters that were taken in come last: who is told that they are merged must already hold what they had. */
function* itemsOf(machine: StateMachine): Generator<MergeItem> {
  const { parent, rows } = machine.clusters.state();
  if (parent !== undefined) yield { kind: "parent", parent };
  for (const { topic, stamp, index } of machine.tombstones.all())
    yield { kind: "deletion", topic, written: { stamp, index } };
  for (const conflict of machine.conflicts.all()) yield { kind: "conflict", conflict };
  const { elapsed } = machine.sessions.time;
  for (const { message, stamp, index, expiresAt } of machine.retained.sortedItems()) {
    const leftMs = expiresAt === undefined ? undefined : Math.max(0, expiresAt - elapsed);
    yield { kind: "retained", message, written: { stamp, index }, leftMs };
  }
  yield* sessionItems(machine.sessions);
  for (const row of rows) if (row.phase === "merged") yield { kind: "row", row };
}

function writeItem(item: MergeItem, out: ByteWriter): number {
  switch (item.kind) {
    case "parent":
      out.text(item.parent.cluster).varint(item.parent.index);
      return PARENT;
    case "row":
      writeRow(item.row, out);
      return ROW;
    case "deletion":
      out.varint(item.written.stamp).varint(item.written.index).text(item.topic);
      return DELETION;
    case "conflict":
      writeConflict(item.conflict, out);
      return CONFLICT;
    case "retained":
      out.varint(item.written.stamp).varint(item.written.index);
      if (item.leftMs !== undefined) out.varint(item.leftMs);
      encodeMessage(item.message, out);
      return item.leftMs === undefined ? RETAINED : EXPIRING;
    default:
      out.raw(item.body);
      return kindOf(item);
  }
}

/** Topics of the retained store that `item` is about. */
export function topicsOf(item: MergeItem): readonly string[] {
  if (item.kind === "deletion") return [item.topic];
  return item.kind === "retained" ? [item.message.topic] : [];
}

/** Whether `item` is a part of a session, which waits until all are here. */
export function isSessionItem(item: MergeItem): item is SessionItem {
  return item.kind === "sessionTime" || item.kind === "owedMessage" || item.kind === "session";
}

/** Behind which index of `winner`'s log the items' cluster was forked off it; 0: it was not. */
export function forkIndex(items: readonly MergeItem[], winner: string): number {
  for (const item of items)
    if (item.kind === "parent" && item.parent.cluster === winner) return item.parent.index;
  return 0;
}

function readItem(kind: number, input: ByteReader): MergeItem {
  switch (kind) {
    case PARENT:
      return { kind: "parent", parent: { cluster: readClusterId(input), index: input.varint() } };
    case ROW:
      return { kind: "row", row: readRow(input) };
    case DELETION: {
      const written = { stamp: input.varint(), index: input.varint() };
      const topic = input.text();
      if (!isValidTopicName(topic)) throw malformed("topic");
      return { kind: "deletion", topic, written };
    }
    case CONFLICT:
      return { kind: "conflict", conflict: readConflict(input) };
    case RETAINED:
    case EXPIRING: {
      const written = { stamp: input.varint(), index: input.varint() };
      const leftMs = kind === EXPIRING ? input.varint() : undefined;
      const message = decodeMessage(input);
      if (!isValidTopicName(message.topic) || message.payload.length === 0)
        throw malformed("retained message");
      return { kind: "retained", message, written, leftMs };
    }
    default: {
      const known = SESSION_KINDS.get(kind);
      if (known === undefined) throw malformed(`item of kind ${kind}`);
      return { kind: known, body: input.raw(input.remaining) };
    }
  }
}

function kindOf(item: SessionItem): number {
  for (const [number, kind] of SESSION_KINDS) if (kind === item.kind) return number;
  throw malformed(item.kind);
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode chunk of a merge: ${what}`);
}
