/** Ten minutes of a cluster's life for a test that cannot wait: they are written into the log of its only voter, which is stopped. */

import { openDataDirectory, systemBootId } from "@skein/platform";
import { Journal } from "../../packages/coordinator/src/journal/journal.ts";
import { encodeClusterCommand } from "../../packages/coordinator/src/state-machine/cluster-commands.ts";

const QUIET = { error() {}, warn() {}, info() {}, debug() {} };

/** As if the leader had counted `minutes` there, one after another (merge-planner.ts). */
export async function letClusterAge(dataDirectory: string, minutes: number): Promise<void> {
  const disk = openDataDirectory(dataDirectory);
  try {
    const { journal, state } = Journal.open(disk, "journal", QUIET, Date.now(), { bootId: systemBootId() });
    const { index, term } = state.entries.at(-1) ?? state.snapshot;
    const entries = Array.from({ length: minutes }, (_, minute) => {
      const data = encodeClusterCommand({ kind: "tick", stamp: 1, ageMinutes: minute + 1 });
      return { index: index + minute + 1, term, kind: "command" as const, data };
    });
    const { hardState } = state;
    await new Promise<void>((resolve, reject) => {
      journal.persist({ hardState, entries }, () => {});
      journal.close((error) => (error === undefined ? resolve() : reject(error)));
    });
  } finally {
    disk.close();
  }
}
