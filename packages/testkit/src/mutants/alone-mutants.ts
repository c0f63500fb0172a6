/** Bugs planted in what becomes of retained writes that were acknowledged without a quorum. */

import type { Mutant } from "./mutate.ts";

const COORDINATOR = "packages/coordinator/src";
const RULE = `${COORDINATOR}/state-machine/alone-writes.ts`;

export const ALONE_MUTANTS: readonly Mutant[] = (
  [
    {
      name: "a late write replaces what the majority wrote meanwhile",
      breaks: "P8: who read from a quorum sees an older value come back",
      file: RULE,
      search: "return before.index > seenThrough;",
      replacement: "return before.index < 0;",
    },
    {
      name: "of two late writes the older one stays",
      breaks: "P8: the last word of one side is replaced by an earlier one of the other",
      file: RULE,
      search: "return before.stamp >= stamp;",
      replacement: "return before.stamp < stamp;",
    },
    {
      name: "a late write that gives way is listed nowhere",
      breaks: "P8: one side of a split is lost in silence",
      file: RULE,
      search: "  } else if (item !== undefined ? !isSameAsOwn(item) : own !== undefined)",
      replacement: "  } else if (own !== undefined && own.index < 0 && !isSameAsOwn(item))",
    },
    {
      name: "a deletion is forgotten at once",
      breaks: "P8: a late write brings back a topic that the majority has deleted meanwhile",
      file: `${COORDINATOR}/state-machine/state-machine.ts`,
      search: "    this.tombstones.add(message.topic, written);\n",
      replacement: "",
      // Plain writes delete nothing.
      load: "household",
    },
    {
      name: "retained writes that were acknowledged without a quorum are not kept",
      breaks: "P5: they are lost with their process",
      file: `${COORDINATOR}/proposals/proposals.ts`,
      search: "const commands = fresh.map(({ bytes }) => bytes);",
      replacement:
        "const commands = fresh.flatMap(({ bytes, operation }) => topicOf(operation) === undefined ? [bytes] : []);",
      scenario: "outboxes",
    },
    {
      name: "a mesh that is told to hold acknowledges without a quorum all the same",
      breaks: "P5 with onQuorumLoss: hold: what is acknowledged is safe on one node only",
      scenario: "holding",
      file: `${COORDINATOR}/proposals/outbox.ts`,
      search: 'this.#onQuorumLoss === "outbox" && this.#since',
      replacement: "this.#since",
    },
  ] satisfies readonly Mutant[]
).map((mutant) => ({ load: "writes", scenario: "partitions", ...mutant }) as const);
