/** An event as a sentence that every member of the family understands. */

import { lastedFor } from "../status/durations.ts";
import type { EventNode, MeshEvent } from "./mesh-event.ts";

/** `pi1 lost power or network: address moved to pi2 after 3.9 s, first client 4.1 s, 31 of 31 clients back after 6.2 s`. */
export function eventSentence(event: MeshEvent): string {
  if (event.detail !== "") return event.detail;
  const who = namesOf(event.nodes);
  switch (event.kind) {
    case "join":
      return `${who} joined the mesh`;
    case "leave":
      return event.cause === "removed"
        ? `${who} is no longer part of the mesh`
        : withParts(`${who} stopped`, event);
    case "failover":
    case "loss":
      return withParts(
        `${who} ${event.cause === "ended" ? "ended without a word" : "lost power or network"}`,
        event,
      );
    case "partition":
      return withParts(
        `${who} ${event.cause === "ended" ? "ended together" : "fell silent together"}`,
        event,
      );
    case "handover":
      return withParts(event.cause === "stopped" ? `${who} stopped in order` : `handed over`, event);
    case "election":
      return withParts(
        event.from === null ? "no coordinator was heard" : `${event.from.name} was not heard as coordinator`,
        event,
      );
    default:
      return event.kind;
  }
}

function withParts(start: string, event: MeshEvent): string {
  const parts = [...leadership(event), ...clients(event), ...returned(event)];
  return parts.length === 0 ? start : `${start}: ${parts.join(", ")}`;
}

function leadership(event: MeshEvent): readonly string[] {
  const { from, to, addressAfterMs, coordinatorAfterMs } = event;
  if (addressAfterMs !== null && to !== null)
    return to.id === from?.id
      ? [`address back on ${to.name} after ${seconds(addressAfterMs)}`]
      : [`address moved ${moved(event)}to ${to.name} after ${seconds(addressAfterMs)}`];
  if (coordinatorAfterMs !== null && to !== null)
    return to.id === from?.id
      ? [`${to.name} coordinates again after ${seconds(coordinatorAfterMs)}`]
      : [`${to.name} coordinates after ${seconds(coordinatorAfterMs)}`];
  const isCentral = event.kind === "failover" || event.kind === "election";
  return isCentral ? [event.isOver ? "nobody took over" : "nobody has taken over yet"] : [];
}

function moved({ cause, from }: MeshEvent): string {
  return cause === "moved" && from !== null ? `from ${from.name} ` : "";
}

function clients(event: MeshEvent): readonly string[] {
  const { clientsBefore, clientsBack, firstClientAfterMs, clients95AfterMs, lastClientAfterMs } = event;
  if (clientsBefore === 0) return [];
  if (firstClientAfterMs === null || lastClientAfterMs === null)
    return [`0 of ${clientsBefore} clients back`];
  const first = clientsBack > 1 ? [`first client ${seconds(firstClientAfterMs)}`] : [];
  // One straggler must not hide how soon the others were back.
  const most =
    clients95AfterMs !== null && lastClientAfterMs - clients95AfterMs >= 1000
      ? [`95 % of the clients ${seconds(clients95AfterMs)}`]
      : [];
  const all = `${clientsBack} of ${clientsBefore} clients back after ${seconds(lastClientAfterMs)}`;
  return [...first, ...most, all];
}

function returned({ returnedAfterMs, nodes }: MeshEvent): readonly string[] {
  if (returnedAfterMs === null) return [];
  return [`${nodes.length === 1 ? "it is" : "they are"} back after ${span(returnedAfterMs)}`];
}

function namesOf(nodes: readonly EventNode[]): string {
  const names = nodes.map(({ name }) => name);
  if (names.length <= 1) return names[0] ?? "a node";
  return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function span(ms: number): string {
  return ms < 10_000 ? seconds(ms) : lastedFor(ms);
}
