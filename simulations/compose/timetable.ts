/**
 * The scripted hour, compressed: which faults come when. Times are seconds after the clients have begun.
 *
 * "holder" is whoever holds the address at that moment, "follower" anybody else. Each fault ends before the next begins,
 * with time between them in which all must be well again.
 */

/** What happens to whom. */
export type Act =
  | {
      readonly kind: "kill" | "freeze" | "unplug";
      readonly who: "holder" | "follower";
      readonly at: number;
      readonly until: number;
    }
  | { readonly kind: "split"; readonly parts: number; readonly at: number; readonly until: number }
  | { readonly kind: "failover"; readonly at: number; readonly until: number }
  | { readonly kind: "rolling"; readonly at: number; readonly until: number };

export interface Timetable {
  readonly acts: readonly Act[];
  /** The last fault is over, and nobody publishes any more, by then. */
  readonly quietAt: number;
  /** Everything that was on its way has arrived by then. */
  readonly endAt: number;
}

export const FULL: Timetable = {
  acts: [
    { kind: "kill", who: "follower", at: 15, until: 25 },
    { kind: "kill", who: "holder", at: 40, until: 52 },
    { kind: "freeze", who: "holder", at: 68, until: 80 },
    { kind: "unplug", who: "holder", at: 96, until: 110 },
    { kind: "split", parts: 2, at: 126, until: 148 },
    { kind: "split", parts: 3, at: 172, until: 194 },
    { kind: "kill", who: "holder", at: 218, until: 230 },
    { kind: "unplug", who: "follower", at: 246, until: 258 },
    { kind: "failover", at: 272, until: 276 },
    { kind: "rolling", at: 286, until: 430 },
    { kind: "unplug", who: "holder", at: 446, until: 460 },
    { kind: "freeze", who: "follower", at: 474, until: 484 },
    { kind: "kill", who: "holder", at: 496, until: 508 },
  ],
  quietAt: 530,
  endAt: 545,
};

export const QUICK: Timetable = {
  acts: [
    { kind: "kill", who: "holder", at: 6, until: 14 },
    { kind: "freeze", who: "holder", at: 24, until: 34 },
    { kind: "unplug", who: "holder", at: 44, until: 54 },
    { kind: "split", parts: 2, at: 64, until: 78 },
    { kind: "rolling", at: 90, until: 106 },
  ],
  quietAt: 110,
  endAt: 118,
};

/** One line for the report. */
export function nameOf(act: Act): string {
  switch (act.kind) {
    case "kill":
      return `kill -9 of ${article(act.who)}`;
    case "freeze":
      return `docker pause of ${article(act.who)}`;
    case "unplug":
      return `cable of ${article(act.who)} pulled`;
    case "split":
      return `network cut in ${act.parts} parts`;
    case "failover":
      return "address moved on purpose";
    case "rolling":
      return "rolling restart of all";
  }
}

function article(who: "holder" | "follower"): string {
  return who === "holder" ? "the holder" : "another node";
}
