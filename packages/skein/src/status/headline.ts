/** The one sentence about the mesh: `DEGRADED: pi2 unreachable for 41 s. Clients work. A further failure would stop fail-over.` */

import type { Consequence } from "./what-if.ts";

export function headline(
  health: "healthy" | "degraded" | "down",
  reasons: readonly string[],
  ifFails: readonly Consequence[],
): string {
  const redundancy = redundancyOf(ifFails);
  if (health === "healthy") return redundancy;
  if (health === "down") return `DOWN: ${reasons.join(" ")}`;
  return `DEGRADED: ${reasons.join(" ")} Clients work. ${redundancy}`.trim();
}

/** How many nodes may still go. */
function redundancyOf(ifFails: readonly Consequence[]): string {
  if (ifFails.length === 0) return "";
  if (ifFails.length === 1) return "Redundancy: NONE (1 node).";
  if (ifFails.every(({ quorum }) => quorum === "missing"))
    return "There is no fail-over without a coordinator.";
  const fatal = ifFails.filter(({ quorum }) => quorum !== "stays");
  if (fatal.length === 0) return "Any one node may fail.";
  if (fatal.length === ifFails.length) return "A further failure would stop fail-over.";
  const names = fatal.map(({ name }) => name);
  const who = names.length === 1 ? names[0] : `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
  return `A failure of ${who} would stop fail-over.`;
}
