/** Bugs planted around the clients' address. */

import type { Mutant } from "./mutate.ts";

const ADDRESS = "packages/coordinator/src/address";
const scenario = "address";

export const ADDRESS_MUTANTS: readonly Mutant[] = [
  {
    name: "a stand-in ignores the leader's return",
    breaks: "P1: two hold the address for long",
    file: `${ADDRESS}/stand-in.ts`,
    search: "if (event.isLeaderHeard || !event.isBest) this.#isStandingIn = false;",
    replacement: "if (!event.isBest) this.#isStandingIn = false;",
    scenario,
    load: "writes",
  },
  {
    name: "a minority waits for an election that cannot come",
    breaks: "P1: nobody answers on its side of a split",
    file: `${ADDRESS}/ranking.ts`,
    search: "return present.length * 2 > voters.length;",
    replacement: "return present.length > 0;",
    scenario,
    load: "writes",
  },
  {
    name: "the lease is renewed in spite of a disk that stands still",
    breaks: "P1: clients stay with a leader that makes no progress",
    file: `${ADDRESS}/entrance.ts`,
    search: "const isStuck = status.isDiskStalled && status.voters.length > 1;",
    replacement: "const isStuck = status.isDiskStalled && status.voters.length < 1;",
    and: {
      file: "packages/coordinator/src/replica/disk-stall.ts",
      search: "if (driver.transferLeadership())",
      replacement: "if (now < 0 && driver.transferLeadership())",
    },
    scenario,
    load: "writes",
  },
  {
    name: "the address is kept by a machine that slept",
    breaks: "P1: two hold it after a sleep",
    file: `${ADDRESS}/suspend-watch.ts`,
    search: "return hasSlept;",
    replacement: "return hasSlept && beforeMs < 0;",
    scenario,
    load: "writes",
  },
  {
    name: "nobody is told who is connected",
    breaks: "P2: idle clients notice a power cut at their keep-alive only",
    file: `${ADDRESS}/entrance.ts`,
    search: "if (this.#toldBy !== this.#node || now - this.#toldChangesAt < TELL_CHANGES_MS) return;",
    replacement: "if (now >= 0) return;",
    scenario,
  },
  {
    name: "who keeps the address does not announce it to those that come into reach",
    breaks: "P1: after a split clients go on sending to a holder that has let go",
    file: `${ADDRESS}/entrance.ts`,
    search: "reached.has(peer.id))) this.#address?.reunited();",
    replacement: "reached.has(peer.id))) this.#tell(0);",
    scenario: "minority",
    load: "writes",
  },
];
