/**
 * Sessions that the mesh has ended because too many are without a connection, and what they were owed: lost, although it was acknowledged.
 *
 * Nobody else hears of it: the client finds no session, perhaps weeks later. So whoever runs the mesh is told, and what to do.
 */

import type { Sessions } from "@skein/coordinator";
import { lastedFor } from "./durations.ts";
import { messages, NAMED_FOR_MS } from "./full-queues.ts";
import type { Note } from "./note.ts";
import { shownClient } from "./shown-client.ts";

type Surplus = Sessions["surplus"];

const NONE: Surplus = { sessions: 0, messages: 0, last: undefined };

export class SurplusSessionsWatch {
  #known = NONE;
  /** What there had been before the first of those that are named, and when that was noticed (monotonic, ms). */
  #before = NONE;
  #since = 0;
  /** When the newest was noticed. */
  #at = Number.NEGATIVE_INFINITY;

  /** Call it from time to time. */
  observe(surplus: Surplus, now: number): void {
    if (surplus.sessions === this.#known.sessions) return;
    if (now - this.#at >= NAMED_FOR_MS) {
      this.#before = this.#known;
      this.#since = now;
    }
    this.#known = surplus;
    this.#at = now;
  }

  notes(now: number): readonly Note[] {
    if (now - this.#at >= NAMED_FOR_MS) return [];
    const { sessions, messages: owed, last = "" } = this.#known;
    const ended = sessions - this.#before.sessions;
    const lost = messages(owed - this.#before.messages);
    const many = ended === 1 ? "1 session has" : `${ended} sessions have`;
    return [
      {
        subject: "surplus sessions",
        text: `Too many sessions are without a connection: ${many} been ended within ${lastedFor(now - this.#since)}, the one longest without first, and ${lost} that waited for them went with them. The last one was of client ${shownClient(last)}. A shorter --max-session-expiry ends those earlier that never come back.`,
        isAlarm: true,
      },
    ];
  }
}
