/**
 * Sessions of a cluster that is being merged, until all of them are here: they begin to live in this one with MERGED, at once, and a
 * merge that is called off leaves nothing of them.
 *
 * That is how a queue that spans chunks is never seen half, and nothing is owed twice when a merge begins anew. In a chunk
 * (merge-export.ts) they are three kinds of item: the time of the sessions, then the messages that are owed, each once, then the
 * sessions, whose queues name messages by their place in the stream. The forms are those of a snapshot.
 *
 * Source: reference design, section 1.4.
 */

import { ByteReader, ByteWriter, type ClusterId } from "@skein/kernel";
import type { IsPieceFull, Pieces } from "../../pieces.ts";
import { readClusterId } from "../../wire-ids.ts";
import { MessagePlaces, readOwed } from "./named-messages.ts";
import { type MessageHandle, OwedMessages } from "./owed-messages.ts";
import { readCount, readLongList } from "./session-commands.ts";
import type { SavedSession, SessionState } from "./session-state.ts";
import { readSession, writeEntries, writeSession } from "./sessions-snapshot.ts";
import type { SessionsState } from "./sessions-state.ts";

/** An item of a chunk. */
export interface SessionItem {
  readonly kind: "sessionTime" | "owedMessage" | "session";
  readonly body: Uint8Array;
}

/** What has come of one cluster's sessions. */
export class Arrived {
  /** Its SessionTime, ms. */
  elapsed = 0;
  readonly messages = new OwedMessages();
  sessions: SavedSession[] = [];
  /** Of messages, in the order in which they came. Each is held as long as this is there. */
  #handles: MessageHandle[] = [];

  /** Messages and sessions. */
  get count(): number {
    return this.#handles.length + this.sessions.length;
  }

  /** Puts `items` behind what is there. Changes nothing if it throws. @throws {SkeinError} ERR_SKEIN_MALFORMED */
  take(items: readonly SessionItem[]): void {
    const [elapsed, messages, sessions] = [this.elapsed, this.#handles.length, this.sessions.length];
    try {
      for (const { kind, body } of items) {
        const input = new ByteReader(body);
        if (kind === "sessionTime") this.elapsed = input.varint();
        else if (kind === "owedMessage") this.#handles.push(readOwed(input, this.messages));
        else this.sessions.push(readSession(input, this.messages, this.#handles, false));
        input.end();
      }
    } catch (error) {
      this.elapsed = elapsed;
      for (const { queue } of this.sessions.splice(sessions)) queue.clear();
      for (const handle of this.#handles.splice(messages)) this.messages.release(handle);
      throw error;
    }
  }

  write(out: ByteWriter): void {
    out.varint(this.elapsed).varint(this.#handles.length);
    for (const handle of this.#handles) out.raw(this.messages.packed(handle));
    const places = new MessagePlaces(this.messages);
    for (const handle of this.#handles) places.add(handle);
    out.varint(this.sessions.length);
    for (const session of this.sessions) {
      writeSession(session, out, false);
      writeEntries(session.queue, places, out);
    }
  }

  /** Reads what {@link write} has written. @throws {SkeinError} ERR_SKEIN_MALFORMED */
  static *read(input: ByteReader, isPieceFull: IsPieceFull): Pieces<Arrived> {
    const arrived = new Arrived();
    const { messages } = arrived;
    arrived.elapsed = input.varint();
    arrived.#handles = yield* readLongList(input, () => readOwed(input, messages), isPieceFull);
    const read = (): SavedSession => readSession(input, messages, arrived.#handles, false);
    arrived.sessions = yield* readLongList(input, read, isPieceFull);
    return arrived;
  }
}

export class StagedSessions {
  readonly #byCluster = new Map<ClusterId, Arrived>();

  /** Messages and sessions that wait. */
  get count(): number {
    let count = 0;
    for (const arrived of this.#byCluster.values()) count += arrived.count;
    return count;
  }

  /** Puts `items` behind what is there of `cluster`, or in its place. Changes nothing if it throws. @throws {SkeinError} ERR_SKEIN_MALFORMED */
  put(cluster: ClusterId, items: readonly SessionItem[], isFirstChunk: boolean): void {
    const arrived = (isFirstChunk ? undefined : this.#byCluster.get(cluster)) ?? new Arrived();
    arrived.take(items);
    this.#byCluster.set(cluster, arrived);
  }

  /** All of `cluster`, which waits no longer. */
  take(cluster: ClusterId): Arrived {
    const arrived = this.#byCluster.get(cluster) ?? new Arrived();
    this.#byCluster.delete(cluster);
    return arrived;
  }

  clear(): void {
    this.#byCluster.clear();
  }

  write(out: ByteWriter): void {
    const clusters = [...this.#byCluster].sort(([a], [b]) => (a < b ? -1 : 1));
    out.varint(clusters.length);
    for (const [cluster, arrived] of clusters) arrived.write(out.text(cluster));
  }

  /** Replaces everything with what {@link readStaged} has read. */
  restore(staged: readonly (readonly [ClusterId, Arrived])[]): void {
    this.#byCluster.clear();
    for (const [cluster, arrived] of staged) this.#byCluster.set(cluster, arrived);
  }
}

/** @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function* readStaged(
  input: ByteReader,
  isPieceFull: IsPieceFull,
): Pieces<readonly (readonly [ClusterId, Arrived])[]> {
  const staged: (readonly [ClusterId, Arrived])[] = [];
  for (let left = readCount(input); left > 0; left--)
    staged.push([readClusterId(input), yield* Arrived.read(input, isPieceFull)]);
  return staged;
}

/**
 * The sessions of a state that does not change any more, for another cluster. A claim that is only a claim ends with its
 * connection and is not among them. Those without a connection come first, in the order they were left.
 */
export function* sessionItems(state: SessionsState): Generator<SessionItem> {
  const held = [...state.all()].filter(({ owner }) => owner !== undefined);
  held.sort((a, b) => (a.clientId < b.clientId ? -1 : 1));
  const sessions = [...state.absent, ...held].filter(isLeftBehind);
  if (sessions.length === 0) return;
  const out = new ByteWriter(1024);
  yield { kind: "sessionTime", body: out.varint(state.time.elapsed).finish() };
  const places = new MessagePlaces(state.owed).addQueues(sessions);
  for (const handle of places.handles) yield { kind: "owedMessage", body: state.owed.packed(handle) };
  for (const session of sessions) {
    writeSession(session.save(), out.reset(), false);
    writeEntries(session.queue, places, out);
    yield { kind: "session", body: out.finish() };
  }
}

function isLeftBehind({ isKept, will, queue }: SessionState): boolean {
  return isKept || will !== undefined || queue.length > 0;
}
