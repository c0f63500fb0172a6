/** Copied memory cards: beside the original, and in its place while that is off. */

import type { SimNode } from "../world/sim-node.ts";
import type { DamageBudget } from "./damage-budget.ts";
import type { Interventions } from "./interventions.ts";
import type { Fault } from "./schedule.ts";

/** By then a process has started and others have had a link with it. */
const KNOWN_WITHIN_MS = 4000;
/** The original is back and has caught up by then. */
const BACK_WITHIN_MS = 15_000;

type Of<Kind extends Fault["kind"]> = Extract<Fault, { kind: Kind }>;

export class CopiedDisks {
  readonly #do: Interventions;
  readonly #budget: DamageBudget;

  constructor(interventions: Interventions, budget: DamageBudget) {
    this.#do = interventions;
    this.#budget = budget;
  }

  /** Whether it began: only while nothing else is on. Two that both run find out at once, but who is alone may take the other's place for a while. */
  begin(fault: Of<"clone" | "standIn">, original: SimNode, copy: SimNode): boolean {
    const isAtWork = original.process?.isPaused === false && original.status?.cluster !== undefined;
    if (!this.#do.isCalm || !isAtWork || original === copy) return false;
    if (fault.kind === "standIn") return this.#standIn(original, copy, fault);
    if (!this.#budget.take(copy)) return false;
    this.#do.cutPower([copy], fault.forMs, () => copy.copyDiskOf(original));
    return true;
  }

  /**
   * While the original is off the copy is started `starts` times, the last time for `forMs`; then the original comes back alone, and without what the copy has
   * acknowledged in its name. Later the copy is started beside it.
   */
  #standIn(original: SimNode, copy: SimNode, { starts, forMs }: Of<"standIn">): boolean {
    if (!this.#budget.take(original) || !this.#budget.take(copy)) return false;
    original.kill("crash");
    copy.kill("power");
    copy.copyDiskOf(original);
    const run = (left: number): void => {
      copy.start();
      this.#do.during(left > 1 ? KNOWN_WITHIN_MS : forMs, () => {
        copy.kill("crash");
        if (left > 1) {
          run(left - 1);
          return;
        }
        original.start();
        this.#do.during(BACK_WITHIN_MS, () => copy.start());
      });
    };
    run(starts);
    return true;
  }
}
