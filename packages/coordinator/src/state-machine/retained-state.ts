/**
 * The replicated set of retained messages: one per topic, found by exact topic or by any Topic Filter.
 *
 * Exact topics are one map look-up. Wildcard filters walk a tree of topic levels, so that `home/+/state` costs the
 * rooms, not all topics. The tree is a mirror of the map and is pruned with it. Iteration for digests and snapshots is
 * sorted by UTF-16 code units, never by arrival, so that equal sets are equal bytes on every node.
 *
 * Source: MQTT 5 section 3.3.1.3 (RETAIN), 4.7 (filters).
 */

import { type ApplicationMessage, ByteWriter, encodeMessage, type NodeId } from "@skein/kernel";
import type { Stamp } from "../hybrid-clock.ts";
import type { Expiring } from "./expiry.ts";
import { ReplicaHash } from "./replica-hash.ts";
import { SetHash } from "./set-hash.ts";

/** Most topics with a retained message. A set of a further topic is refused (0x97 for its publisher). */
export const RETAINED_TOPICS_MAX = 200_000;
/** Most bytes of all encoded retained messages; the same answer. State and snapshot fit a device of 512 MB twice. */
export const RETAINED_BYTES_MAX = 64 * 1024 * 1024;

/** A level of the topic tree. Leaves have no children map. */
interface Level {
  item: RetainedItem | undefined;
  children: Map<string, Level> | undefined;
}

/** When something was written: by the clock of its cluster, and as which entry of its log. For merges and late writes. */
export interface Written {
  readonly stamp: Stamp;
  readonly index: number;
  /** The node that acknowledged it without a quorum (alone-writes.ts). */
  readonly alone?: NodeId | undefined;
}

/** A message of the set with when it was written, and when it expires (SessionTime, ms). */
export interface RetainedItem extends Written, Expiring {}

interface Stored extends RetainedItem {
  readonly bytes: number;
  readonly hash: number;
  /** Its place in the tree, so that a topic is walked down to once and not with every value. */
  readonly level: Level;
}

export class RetainedState {
  #topics = new Map<string, Stored>();
  #root: Level = { item: undefined, children: undefined };
  /** When those messages expire that do (SessionTime, ms). */
  #expiries = new Map<string, number>();
  /** No message expires before. */
  #nextExpiry = Number.POSITIVE_INFINITY;
  #bytes = 0;
  #hash = new SetHash();
  #digest: string | undefined;

  get count(): number {
    return this.#topics.size;
  }

  /** Bytes of all messages in encoded form. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Of the set as it is; equal sets have equal values. Follows every change, so it costs nothing to ask. */
  get hash(): number {
    return this.#hash.value;
  }

  /** There are messages that expire one day. */
  get hasExpiring(): boolean {
    return this.#expiries.size > 0;
  }

  get(topic: string): ApplicationMessage | undefined {
    return this.#topics.get(topic)?.message;
  }

  item(topic: string): RetainedItem | undefined {
    return this.#topics.get(topic);
  }

  /**
   * Stores a message (payload not empty), which must own its bytes: `bytes` is its encoded length, `hash` the `itemHash`
   * of its encoded form, when it was written and when it expires. Returns false, and changes nothing, if the store is full.
   */
  set(item: RetainedItem, bytes: number, hash: number): boolean {
    const { message, stamp, index, alone, expiresAt } = item;
    const { topic } = message;
    const before = this.#topics.get(topic);
    const total = this.#bytes + bytes - (before?.bytes ?? 0);
    if (before === undefined && this.#topics.size >= RETAINED_TOPICS_MAX) return false;
    // An update that makes the store smaller is always taken, so a full store can be worked off.
    if (total > RETAINED_BYTES_MAX && total > this.#bytes) return false;
    if (before !== undefined) this.#hash.remove(before.hash);
    this.#hash.add(hash);
    const level = before?.level ?? this.#level(topic);
    const stored = { message, stamp, index, alone, expiresAt, bytes, hash, level };
    level.item = stored;
    this.#topics.set(topic, stored);
    this.#willExpire(topic, expiresAt);
    this.#bytes = total;
    this.#digest = undefined;
    return true;
  }

  /** Removes the message of `topic`; harmless if there is none. */
  delete(topic: string): void {
    const before = this.#topics.get(topic);
    if (before === undefined) return;
    this.#topics.delete(topic);
    this.#expiries.delete(topic);
    this.#bytes -= before.bytes;
    this.#hash.remove(before.hash);
    this.#digest = undefined;
    prune(this.#root, topic.split("/"), 0);
  }

  /** Removes what has expired at `now` (SessionTime, ms), and calls `removed` for each, sorted by topic. */
  expire(now: number, removed: (item: RetainedItem) => void): void {
    if (now < this.#nextExpiry) return;
    this.#nextExpiry = Number.POSITIVE_INFINITY;
    const expired: string[] = [];
    for (const [topic, expiry] of this.#expiries) {
      if (expiry <= now) expired.push(topic);
      else this.#nextExpiry = Math.min(this.#nextExpiry, expiry);
    }
    for (const topic of expired.sort()) {
      const item = this.#topics.get(topic) as Stored;
      this.delete(topic);
      removed(item);
    }
  }

  /** Replaces everything by what `other` has, which must not be used any more. However many those are, it takes no time. */
  takeOver(other: RetainedState): void {
    this.#topics = other.#topics;
    this.#root = other.#root;
    this.#expiries = other.#expiries;
    this.#nextExpiry = other.#nextExpiry;
    this.#bytes = other.#bytes;
    this.#hash = other.#hash;
    this.#digest = undefined;
  }

  /** Calls `visit` for every message whose topic the valid `filter` matches [MQTT-4.7.2-1], expired or not. */
  match(filter: string, visit: (item: RetainedItem) => void): void {
    if (!filter.includes("+") && !filter.includes("#")) {
      const item = this.item(filter);
      if (item !== undefined) visit(item);
      return;
    }
    walk(this.#root, filter.split("/"), 0, visit);
  }

  /** All messages, sorted by topic. */
  sorted(): ApplicationMessage[] {
    return this.sortedItems().map(({ message }) => message);
  }

  /** All messages with when they were written, sorted by topic. */
  sortedItems(): RetainedItem[] {
    const topics = [...this.#topics.keys()].sort();
    return topics.map((topic) => this.#topics.get(topic) as Stored);
  }

  /** 32 hexadecimal digits; equal sets have equal digests. Computed when asked for after a change. */
  digest(): string {
    this.#digest ??= digestOf(this.sorted());
    return this.#digest;
  }

  #willExpire(topic: string, expiry: number | undefined): void {
    if (expiry === undefined) {
      this.#expiries.delete(topic);
    } else {
      this.#expiries.set(topic, expiry);
      this.#nextExpiry = Math.min(this.#nextExpiry, expiry);
    }
  }

  #level(topic: string): Level {
    let level = this.#root;
    for (const name of topic.split("/")) {
      level.children ??= new Map();
      let child = level.children.get(name);
      if (child === undefined) {
        child = { item: undefined, children: undefined };
        level.children.set(name, child);
      }
      level = child;
    }
    return level;
  }
}

function digestOf(messages: readonly ApplicationMessage[]): string {
  const hash = new ReplicaHash();
  const out = new ByteWriter(1024);
  for (const message of messages) {
    out.reset();
    encodeMessage(message, out);
    hash.update(out.finish());
  }
  return hash.digest();
}

function prune(level: Level, names: readonly string[], depth: number): void {
  const name = names[depth];
  if (name === undefined) {
    level.item = undefined;
    return;
  }
  const child = level.children?.get(name);
  if (child === undefined) return;
  prune(child, names, depth + 1);
  if (child.item !== undefined || child.children !== undefined) return;
  level.children?.delete(name);
  if (level.children?.size === 0) level.children = undefined;
}

/** Recursion is bounded by the levels of a topic (TOPIC_LEVELS_MAX). */
function walk(
  level: Level,
  names: readonly string[],
  depth: number,
  visit: (item: RetainedItem) => void,
): void {
  const name = names[depth];
  if (name === undefined) {
    if (level.item !== undefined) visit(level.item);
    return;
  }
  if (name === "#") {
    // `a/#` includes `a` itself [MQTT 5 section 4.7.1.2]; at depth 0 the root has no message.
    visitAll(level, depth === 0, visit);
    return;
  }
  const { children } = level;
  if (children === undefined) return;
  if (name !== "+") {
    const child = children.get(name);
    if (child !== undefined) walk(child, names, depth + 1, visit);
    return;
  }
  for (const [childName, child] of children) {
    if (depth === 0 && childName.startsWith("$")) continue;
    walk(child, names, depth + 1, visit);
  }
}

function visitAll(level: Level, isRoot: boolean, visit: (item: RetainedItem) => void): void {
  if (level.item !== undefined) visit(level.item);
  if (level.children === undefined) return;
  for (const [name, child] of level.children) {
    if (isRoot && name.startsWith("$")) continue;
    visitAll(child, false, visit);
  }
}
