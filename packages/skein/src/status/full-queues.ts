/**
 * Queues that have had no room for messages lately: of a client that never comes back and has subscribed to everything, say.
 *
 * Such messages pass the session by. A publisher of MQTT 3 cannot hear of it, one of 5.0 hears 0x97 and can see no reason in its own doing. So the
 * status names the client, since when and how many messages, and how to end its session. What no message has passed by for ten minutes is
 * not named any more, and begins anew if it happens again.
 */

import type { Sessions } from "@skein/coordinator";
import type { NodeId } from "@skein/kernel";
import { lastedFor } from "./durations.ts";
import type { Note } from "./note.ts";
import { endingCommand, shownClient } from "./shown-client.ts";

export const NAMED_FOR_MS = 600_000;
/** The newest ones. */
const NAMED_MAX = 5;
const MIB = 1024 * 1024;

export interface FullQueuesInputs {
  readonly sessions: Pick<Sessions, "limits" | "owedTo" | "passed">;
  readonly nameOf: (node: NodeId) => string | undefined;
  /** Monotonic. */
  readonly now: number;
}

/** A session that messages pass by. */
export interface FullQueue {
  readonly clientId: string;
  /** How many have, since `forMs` ago; before that there were none for ten minutes. */
  readonly passed: number;
  readonly forMs: number;
  /** Messages that wait for it; null: it has ended. */
  readonly queued: number | null;
  readonly isConnected: boolean;
}

/** Messages that there was no room for. */
interface Seen {
  /** Since the process began. */
  readonly count: number;
  /** When the newest was noticed. */
  readonly at: number;
  /** When the first of these ones was, and how many there had been before. */
  readonly since: number;
  readonly before: number;
}

export class FullQueues {
  readonly #byClient = new Map<string, Seen>();
  #all: Seen | undefined;

  /** Call it from time to time. */
  observe({ sessions: { passed }, now }: Omit<FullQueuesInputs, "nameOf">): void {
    const { byClient, inAll } = passed;
    this.#all = seen(this.#all, inAll, now);
    for (const clientId of this.#byClient.keys())
      if (!byClient.has(clientId)) this.#byClient.delete(clientId);
    for (const [clientId, count] of byClient) {
      const known = seen(this.#byClient.get(clientId), count, now);
      if (known !== undefined) this.#byClient.set(clientId, known);
    }
  }

  /** The newest first, five at most. */
  list({ sessions, now }: Omit<FullQueuesInputs, "nameOf">): readonly FullQueue[] {
    return [...this.#byClient]
      .filter(([, { at }]) => now - at < NAMED_FOR_MS)
      .sort(([, a], [, b]) => b.at - a.at)
      .slice(0, NAMED_MAX)
      .map(([clientId, { count, before, since }]) => {
        const owed = sessions.owedTo(clientId);
        const state = { queued: owed?.messages ?? null, isConnected: owed?.isConnected === true };
        return { clientId, passed: count - before, forMs: Math.round(now - since), ...state };
      });
  }

  notes(inputs: FullQueuesInputs): readonly Note[] {
    const notes = this.list(inputs).map(noteOfClient);
    const { now } = inputs;
    if (this.#all !== undefined && now - this.#all.at < NAMED_FOR_MS)
      notes.push(noteOfAll(this.#all, inputs));
    return notes;
  }
}

function seen(known: Seen | undefined, count: number, now: number): Seen | undefined {
  const before = known?.count ?? 0;
  if (count === before) return known;
  if (known !== undefined && now - known.at < NAMED_FOR_MS) return { ...known, count, at: now };
  return { count, at: now, since: now, before };
}

function noteOfClient({ clientId, passed, forMs, queued, isConnected }: FullQueue): Note {
  const state =
    queued === null
      ? "its session is over now"
      : `${queued} wait, and it is ${isConnected ? "connected but slower than what comes in" : "not connected"}`;
  const next =
    queued !== null && !isConnected
      ? ` If it never comes back, end its session: ${endingCommand(clientId) ?? "connect once with its client id and Clean Session"}`
      : "";
  return {
    subject: `full ${clientId}`,
    text: `The queue of client ${shownClient(clientId)} is full: ${messages(passed)} passed it by within ${lastedFor(forMs)}; ${state}.${next}`,
    isAlarm: true,
  };
}

function noteOfAll(
  { count, before, since }: Seen,
  { sessions: { limits }, nameOf, now }: FullQueuesInputs,
): Note {
  const { owedBytesMax, tightest } = limits;
  const who = tightest === undefined ? "any node" : (nameOf(tightest) ?? tightest);
  return {
    subject: "full store",
    text: `All messages that wait for clients take ${owedBytesMax / MIB} MiB, as much as ${who} has room for: ${messages(count - before)} passed all sessions by within ${lastedFor(now - since)}. More room: --max-store there. Who does not come back should have its session ended.`,
    isAlarm: true,
  };
}

export function messages(count: number): string {
  return count === 1 ? "1 message" : `${count} messages`;
}
