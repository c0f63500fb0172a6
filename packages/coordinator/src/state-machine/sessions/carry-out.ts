/** Which method of the sessions a command about them is. */

import { unreachable } from "@skein/kernel";
import type { Stamp } from "../../hybrid-clock.ts";
import type { Envelope } from "../commands.ts";
import type { SessionOutcome } from "./publishing-port.ts";
import type { SessionOperation } from "./session-commands.ts";
import type { SessionsState } from "./sessions-state.ts";

export function carryOutSession(
  sessions: SessionsState,
  operation: SessionOperation,
  { node, incarnation, seq }: Envelope,
  stamp: Stamp,
  newest: Stamp,
): SessionOutcome {
  const ownerOf = (claim: number) => ({ node, incarnation, claim });
  switch (operation.kind) {
    case "publish":
      return sessions.publish(operation.message, operation.publisher, operation.served);
    case "publishOnce": {
      const { clientId, claim } = operation;
      return sessions.publishOnce(clientId, ownerOf(claim), operation);
    }
    case "open":
      // Nobody had set its node's clock (stamp 0): it is claimed now.
      return sessions.open(operation.opening, ownerOf(seq), stamp === 0 ? newest : stamp);
    case "close": {
      const { clientId, claim, fate, expirySeconds, sentThrough } = operation;
      return sessions.close(clientId, ownerOf(claim), fate, expirySeconds, sentThrough);
    }
    case "subscribe":
      return sessions.subscribe(operation.clientId, ownerOf(operation.claim), operation.wishes);
    case "unsubscribe":
      return sessions.unsubscribe(operation.clientId, ownerOf(operation.claim), operation.filters);
    case "acknowledge":
      for (const { clientId, claim, ordinals } of operation.sessions)
        sessions.acknowledge(clientId, ownerOf(claim), ordinals);
      return "applied";
    case "confirm":
      return sessions.confirm(operation.clientId, ownerOf(operation.claim), operation.ordinal);
    case "release":
      return sessions.release(operation.clientId, ownerOf(operation.claim), operation.packetId);
    case "nodeUp":
      sessions.nodeGone(node, incarnation - 1);
      return "applied";
    case "deal":
      return sessions.deal(operation.sharedFilter, operation.message);
    default:
      return unreachable(operation);
  }
}
