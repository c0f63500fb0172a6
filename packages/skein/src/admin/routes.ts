/** The table of all routes. A group of routes lives in a file of its own and is listed here. */

import { eventRoutes } from "./event-routes.ts";
import { exerciseRoutes } from "./exercise-routes.ts";
import { inviteRoutes } from "./invite-routes.ts";
import { membershipRoutes } from "./membership-routes.ts";
import { mergeRoutes } from "./merge-routes.ts";
import { queryRoutes } from "./query-routes.ts";
import type { Route } from "./route.ts";

export const ROUTES: readonly Route[] = [
  ...queryRoutes,
  ...eventRoutes,
  ...inviteRoutes,
  ...membershipRoutes,
  ...mergeRoutes,
  ...exerciseRoutes,
];
