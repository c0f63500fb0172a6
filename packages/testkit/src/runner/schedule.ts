/**
 * What goes wrong in a simulation, as data: drawn from the seed before anything runs, so that it can be stored, replayed,
 * and shortened until only what matters is left.
 */

import type { WorldOptions } from "../world/world.ts";

/** Stands for whichever node leads when the fault strikes. */
export const LEADER = -1;

/** `at` and `forMs` (how long it lasts, or the process or machine stays down) in ms of the world. Nodes by number. */
export type Fault = {
  readonly at: number;
} /** kill -9; with `effects` not at once, but instead of that one of the next effects. */ & (
  | { readonly kind: "crash"; readonly node: number; readonly effects: number; readonly forMs: number }
  | { readonly kind: "power"; readonly node: number; readonly forMs: number }
  /** Every machine loses power at the same instant. */
  | { readonly kind: "blackout"; readonly forMs: number }
  | { readonly kind: "stop"; readonly node: number; readonly forMs: number }
  | { readonly kind: "pause"; readonly node: number; readonly forMs: number }
  /** Machines (nodes, then clients) of `side` do not hear the others (`oneWay`), or neither hears the other. */
  | {
      readonly kind: "partition";
      readonly side: readonly number[];
      readonly oneWay: boolean;
      readonly forMs: number;
    }
  /** Two nodes only; all others reach both. */
  | {
      readonly kind: "severed";
      readonly a: number;
      readonly b: number;
      readonly oneWay: boolean;
      readonly forMs: number;
    }
  | {
      readonly kind: "clog";
      readonly a: number;
      readonly b: number;
      readonly slowerByMs: number;
      readonly forMs: number;
    }
  | { readonly kind: "cut"; readonly a: number; readonly b: number }
  | { readonly kind: "diskStall"; readonly node: number; readonly forMs: number }
  | { readonly kind: "diskFull"; readonly node: number; readonly forMs: number }
  | { readonly kind: "syncError"; readonly node: number }
  /** Power cut, and a bit of a file flips meanwhile. */
  | { readonly kind: "rot"; readonly node: number; readonly forMs: number }
  /** Power cut, and the machine comes back with an empty disk. */
  | { readonly kind: "wipe"; readonly node: number; readonly forMs: number }
  | { readonly kind: "wallStep"; readonly node: number; readonly byMs: number }
  | { readonly kind: "mdnsSilence"; readonly forMs: number }
  | { readonly kind: "mdnsStale" }
);

export type FaultKind = Fault["kind"];

export interface Schedule {
  readonly world: WorldOptions;
  /** Faults strike from here on; before, the mesh forms. */
  readonly chaosFromMs: number;
  readonly chaosUntilMs: number;
  /** Sorted by `at`. */
  readonly faults: readonly Fault[];
}

/** Which schedules may lose what was acknowledged: all nodes without power at once, in the `replicated` profile. */
export function mayLoseAcknowledged(schedule: Schedule): boolean {
  return schedule.faults.some(({ kind }) => kind === "blackout");
}
