/** Makes a failing episode short: leaves out steps as long as it still fails (delta debugging, Zeller 1999). */

import type { Failure } from "./episode.ts";
import type { Step } from "./steps.ts";

const RUNS_MAX = 600;

/** Returns the steps that are left, and how they fail when they are carried out by `play`. */
export function shrink(
  steps: readonly Step[],
  failure: Failure,
  play: (steps: readonly Step[]) => Failure | undefined,
): { readonly steps: readonly Step[]; readonly failure: Failure } {
  let best = { steps: steps.slice(0, failure.step === undefined ? steps.length : failure.step + 1), failure };
  let runs = 0;
  for (let size = Math.ceil(best.steps.length / 2); size >= 1 && runs < RUNS_MAX; ) {
    let isShorter = false;
    for (let at = 0; at < best.steps.length && runs < RUNS_MAX; runs++) {
      const fewer = [...best.steps.slice(0, at), ...best.steps.slice(at + size)];
      const again = play(fewer);
      if (again !== undefined && isSame(again, failure)) {
        best = { steps: fewer, failure: again };
        isShorter = true;
      } else at += size;
    }
    if (size === 1 && !isShorter) break;
    size = Math.max(1, Math.floor(size / 2));
  }
  return best;
}

/** Numbers and the lower part of a stack may differ. */
function isSame(one: Failure, other: Failure): boolean {
  return kindOf(one) === kindOf(other);
}

function kindOf({ complaint }: Failure): string {
  return (complaint.split("\n")[0] ?? "").replaceAll(/\d+/g, "N");
}
