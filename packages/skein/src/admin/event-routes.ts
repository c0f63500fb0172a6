/** GET /api/events: the fail-over log, oldest first. `?limit=N`: only the newest N. */

import { SkeinError } from "@skein/kernel";
import { eventSentence } from "../events/event-sentence.ts";
import type { MeshEvent } from "../events/mesh-event.ts";
import type { Route } from "./route.ts";

export interface EventActions {
  /** Oldest first. */
  events(): readonly MeshEvent[];
}

/** What the API says of one event: with its start as a date, and as a sentence. */
export interface ShownEvent extends MeshEvent {
  readonly start: string;
  readonly text: string;
}

export const eventRoutes: readonly Route[] = [
  {
    method: "GET",
    path: "/api/events",
    handle: ({ query }, node) => newest(node.events(), query.get("limit")).map(shown),
  },
];

function newest(events: readonly MeshEvent[], limit: string | null): readonly MeshEvent[] {
  if (limit === null) return events;
  const count = Number(limit);
  if (!Number.isInteger(count) || count < 1)
    throw new SkeinError("ERR_SKEIN_CONFIG", `The limit "${limit}" must be a whole number above 0.`);
  return events.slice(-count);
}

function shown(event: MeshEvent): ShownEvent {
  return { ...event, start: new Date(event.startMs).toISOString(), text: eventSentence(event) };
}
