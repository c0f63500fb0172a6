/**
 * Whose wall clock is off. Nothing in the mesh goes by it; certificates, logs and people do.
 *
 * Small boards have no clock of their own: until a time server answers they show 1970, or when they were switched off. What most
 * nodes agree on counts as right. Of an even number the later half does, because a clock without a battery is behind, not ahead.
 *
 * Source: reference/users.md 6.4.
 */

import { lastedFor } from "./durations.ts";
import type { Note } from "./note.ts";

/** A clock that shows less was never set: this program is younger (2026-09-01). */
export const PLAUSIBLE_WALL_MS = 1_788_220_800_000;
/** More than a report may have waited in a full link, and little enough to be seen before a certificate fails. */
const OFF_MS = 10_000;

const HARMLESS = "not a problem for the mesh; TLS clients may refuse";
const REMEDY = "timedatectl set-ntp true";

export interface SeenClock {
  readonly id: string;
  readonly name: string;
  /** How far it is ahead of this node's. */
  readonly offsetMs: number;
}

/** Undefined: it may be right. */
export function unsetClock(wallMs: number): string | undefined {
  if (wallMs >= PLAUSIBLE_WALL_MS) return undefined;
  const day = new Date(wallMs).toISOString().slice(0, 10);
  return `The clock of this node shows ${day}: ${HARMLESS}. Set it: ${REMEDY}`;
}

/** `self`: this node's id; `wallMs`: what its clock shows; `others`: what is known of the clocks of the others. */
export function clockNotes(self: string, wallMs: number, others: readonly SeenClock[]): readonly Note[] {
  const clocks = [{ id: self, name: "this node", offsetMs: 0 }, ...others];
  const right = [...clocks].sort((a, b) => a.offsetMs - b.offsetMs)[
    Math.floor(clocks.length / 2)
  ] as SeenClock;
  return clocks.flatMap(({ id, name, offsetMs }) => {
    const unset = id === self ? unsetClock(wallMs) : undefined;
    if (unset !== undefined) return [{ subject: `clock ${id}`, text: unset }];
    const offMs = offsetMs - right.offsetMs;
    if (Math.abs(offMs) < OFF_MS) return [];
    const way = `${lastedFor(Math.abs(offMs))} ${offMs < 0 ? "behind" : "ahead"}`;
    // Of two nobody can say which one is right.
    const than = clocks.length === 2 ? ` that of ${right.name}` : "";
    const text = `The clock of ${name} is ${way}${than}: ${HARMLESS}. On ${name}: ${REMEDY}`;
    return [{ subject: `clock ${id}`, text }];
  });
}
