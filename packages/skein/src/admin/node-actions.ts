/**
 * What the admin API may ask of a node and do to it.
 *
 * Each group of routes says in its own file what it needs; here they come together. compose.ts provides them all.
 */

import type { EventActions } from "./event-routes.ts";
import type { ExerciseActions } from "./exercise-routes.ts";
import type { InviteActions } from "./invite-routes.ts";
import type { MembershipActions } from "./membership-routes.ts";
import type { MergeActions } from "./merge-routes.ts";
import type { QueryActions } from "./query-routes.ts";

/** Add your group's interface with `&`. */
export type NodeActions = QueryActions &
  EventActions &
  InviteActions &
  MembershipActions &
  MergeActions &
  ExerciseActions;
