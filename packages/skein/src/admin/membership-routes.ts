/** GET /api/roster: who belongs to the mesh. POST /api/leave: this node leaves. POST /api/forget `{node}`: a dead one is removed. */

import type { RosterRow } from "../membership/roster.ts";
import { type Route, requiredText } from "./route.ts";

export interface MembershipActions {
  roster(): readonly RosterRow[];
  /** Settles when this node is no member any more; its process ends then. @throws {SkeinError} ERR_SKEIN_REFUSED */
  leave(): Promise<void>;
  /** By name or id. @throws {SkeinError} ERR_SKEIN_REFUSED */
  forget(node: string): Promise<void>;
}

export const membershipRoutes: readonly Route[] = [
  { method: "GET", path: "/api/roster", handle: (_, node) => node.roster() },
  {
    method: "POST",
    path: "/api/leave",
    handle: async (_, node) => {
      await node.leave();
      return { left: true };
    },
  },
  {
    method: "POST",
    path: "/api/forget",
    handle: async (request, node) => {
      const forgotten = requiredText(request, "node");
      await node.forget(forgotten);
      return { forgotten };
    },
  },
];
