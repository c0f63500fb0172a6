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
import { readClusterId } from "../../wire-ids.ts";
import { readList } from "./session-commands.ts";
import type { SavedSession, SessionState } from "./session-state.ts";
import { placesOf, readSession, readStored, writeSession, writeStored } from "./sessions-snapshot.ts";
import type { SessionsState } from "./sessions-state.ts";
import type { StoredMessage } from "./stored-message.ts";

/** An item of a chunk. */
export interface SessionItem {
  readonly kind: "sessionTime" | "owedMessage" | "session";
  readonly body: Uint8Array;
}

/** What has come of one cluster's sessions. */
export interface Arrived {
  /** Its SessionTime, ms. */
  readonly elapsed: number;
  readonly messages: readonly StoredMessage[];
  readonly sessions: readonly SavedSession[];
}

const NOTHING: Arrived = { elapsed: 0, messages: [], sessions: [] };

export class StagedSessions {
  readonly #byCluster = new Map<ClusterId, Arrived>();

  /** Messages and sessions that wait. */
  get count(): number {
    let count = 0;
    for (const { messages, sessions } of this.#byCluster.values()) count += messages.length + sessions.length;
    return count;
  }

  /** What is there of `cluster` with `items` behind it. Changes nothing. @throws {SkeinError} ERR_SKEIN_MALFORMED */
  with(cluster: ClusterId, items: readonly SessionItem[], isFirstChunk: boolean): Arrived {
    const before = (isFirstChunk ? undefined : this.#byCluster.get(cluster)) ?? NOTHING;
    let { elapsed } = before;
    const messages = [...before.messages];
    const sessions = [...before.sessions];
    for (const { kind, body } of items) {
      const input = new ByteReader(body);
      if (kind === "sessionTime") elapsed = input.varint();
      else if (kind === "owedMessage") messages.push(readStored(input));
      else sessions.push(readSession(input, messages));
      input.end();
    }
    return { elapsed, messages, sessions };
  }

  put(cluster: ClusterId, arrived: Arrived): void {
    this.#byCluster.set(cluster, arrived);
  }

  /** All of `cluster`, which waits no longer. */
  take(cluster: ClusterId): Arrived {
    const arrived = this.#byCluster.get(cluster) ?? NOTHING;
    this.#byCluster.delete(cluster);
    return arrived;
  }

  clear(): void {
    this.#byCluster.clear();
  }

  write(out: ByteWriter): void {
    const clusters = [...this.#byCluster].sort(([a], [b]) => (a < b ? -1 : 1));
    out.varint(clusters.length);
    for (const [cluster, { elapsed, messages, sessions }] of clusters) {
      out.text(cluster).varint(elapsed).varint(messages.length);
      for (const stored of messages) writeStored(stored, out);
      const places = new Map(messages.map((stored, place) => [stored, place]));
      out.varint(sessions.length);
      for (const session of sessions) writeSession(session, places, out);
    }
  }

  /** Replaces everything with what {@link readStaged} has read. */
  restore(staged: readonly (readonly [ClusterId, Arrived])[]): void {
    this.#byCluster.clear();
    for (const [cluster, arrived] of staged) this.#byCluster.set(cluster, arrived);
  }
}

/** @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readStaged(input: ByteReader): (readonly [ClusterId, Arrived])[] {
  return readList(input, () => {
    const cluster = readClusterId(input);
    const elapsed = input.varint();
    const messages = readList(input, readStored);
    return [cluster, { elapsed, messages, sessions: readList(input, (of) => readSession(of, messages)) }];
  });
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
  const places = placesOf(sessions);
  for (const stored of places.keys()) {
    writeStored(stored, out.reset());
    yield { kind: "owedMessage", body: out.finish() };
  }
  for (const session of sessions) {
    writeSession(session.save(), places, out.reset());
    yield { kind: "session", body: out.finish() };
  }
}

function isLeftBehind({ isKept, will, queue }: SessionState): boolean {
  return isKept || will !== undefined || queue.length > 0;
}
