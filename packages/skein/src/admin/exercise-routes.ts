/**
 * Exercises: POST /api/move-address; POST /api/drill `{node, drill, forMs, force}`; GET /api/address-clients, which asks all nodes and
 * says who answered.
 */

import { SkeinError } from "@skein/kernel";
import type { AddressClients } from "../exercises/exercises.ts";
import { DRILLS, type Drill } from "../exercises/node-requests.ts";
import { type AdminRequest, type Route, requiredText } from "./route.ts";

export interface ExerciseActions {
  /** Returns how many connections that resets. */
  moveAddress(): Promise<number>;
  addressClients(): Promise<AddressClients>;
  drill(node: string, drill: Drill, forMs: number, isForced: boolean): Promise<void>;
}

export const exerciseRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/api/move-address",
    handle: async (_, node) => ({ connections: await node.moveAddress() }),
  },
  { method: "GET", path: "/api/address-clients", handle: (_, node) => node.addressClients() },
  {
    method: "POST",
    path: "/api/drill",
    handle: async (request, node) => {
      const { forMs, force } = request.body;
      if (typeof forMs !== "number" || !(forMs >= 0))
        throw new SkeinError(
          "ERR_SKEIN_CONFIG",
          'The request lacks "forMs", which must be a number of milliseconds.',
        );
      await node.drill(requiredText(request, "node"), drillOf(request), forMs, force === true);
      return { started: true };
    },
  },
];

function drillOf(request: AdminRequest): Drill {
  const name = requiredText(request, "drill");
  const drill = DRILLS.find((known) => known === name);
  if (drill !== undefined) return drill;
  throw new SkeinError("ERR_SKEIN_CONFIG", `There is no drill "${name}": use ${DRILLS.join(", ")}.`);
}
