/**
 * Queues that have had no room for messages lately: of a client that never comes back and has subscribed to everything, say.
 *
 * Whoever publishes hears 0x97, or loses its connection with MQTT 3, and can see no reason in its own doing. So the status names the client, and
 * how to end its session. What has refused nothing for ten minutes is not named any more.
 */

import type { Sessions } from "@skein/coordinator";
import type { NodeId } from "@skein/kernel";
import type { Note } from "./note.ts";
import { endingCommand, shownClient } from "./shown-client.ts";

const NAMED_FOR_MS = 600_000;
/** The newest ones. */
const NAMED_MAX = 5;
const MIB = 1024 * 1024;

export interface FullQueuesInputs {
  readonly sessions: Pick<Sessions, "limits" | "owedTo" | "refusals">;
  readonly nameOf: (node: NodeId) => string | undefined;
  /** Monotonic. */
  readonly now: number;
}

/** How many messages there was no room for, and when the last one of them was noticed. */
interface Seen {
  readonly count: number;
  readonly at: number;
}

export class FullQueues {
  readonly #byClient = new Map<string, Seen>();
  #all: Seen | undefined;

  /** Call it from time to time. */
  observe({ sessions: { refusals }, now }: Omit<FullQueuesInputs, "nameOf">): void {
    const { byClient, inAll } = refusals;
    if (inAll !== (this.#all?.count ?? 0)) this.#all = { count: inAll, at: now };
    for (const clientId of this.#byClient.keys())
      if (!byClient.has(clientId)) this.#byClient.delete(clientId);
    for (const [clientId, count] of byClient)
      if (this.#byClient.get(clientId)?.count !== count) this.#byClient.set(clientId, { count, at: now });
  }

  notes({ sessions, nameOf, now }: FullQueuesInputs): readonly Note[] {
    const isNew = (seen: Seen | undefined): seen is Seen =>
      seen !== undefined && now - seen.at < NAMED_FOR_MS;
    const newest = [...this.#byClient].filter(([, seen]) => isNew(seen)).sort(([, a], [, b]) => b.at - a.at);
    const notes = newest
      .slice(0, NAMED_MAX)
      .map(([clientId, { count }]) => noteOfClient(clientId, count, sessions.owedTo(clientId)));
    if (isNew(this.#all)) notes.push(noteOfAll(this.#all.count, sessions.limits, nameOf));
    return notes;
  }
}

function noteOfClient(clientId: string, refused: number, owed: ReturnType<Sessions["owedTo"]>): Note {
  const state =
    owed === undefined
      ? "its session is over now"
      : `${owed.messages} wait, and it is ${owed.isConnected ? "connected but slower than what comes in" : "not connected"}`;
  const next =
    owed?.isConnected === false
      ? ` If it never comes back, end its session: ${endingCommand(clientId) ?? "connect once with its client id and Clean Session"}`
      : "";
  return {
    subject: `full ${clientId}`,
    text: `The queue of client ${shownClient(clientId)} had no room for ${refused === 1 ? "a message" : `${refused} messages`}, and who published was told or cut off: ${state}.${next}`,
  };
}

function noteOfAll(
  refused: number,
  { owedBytesMax, tightest }: Sessions["limits"],
  nameOf: FullQueuesInputs["nameOf"],
): Note {
  const who = tightest === undefined ? "any node" : (nameOf(tightest) ?? tightest);
  return {
    subject: "full store",
    text: `All messages that wait for clients take ${owedBytesMax / MIB} MiB, as much as ${who} has room for: ${refused} more were refused, and who published was told or cut off. More room: --max-store there. Who does not come back should have its session ended.`,
  };
}
