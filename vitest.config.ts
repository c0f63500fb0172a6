import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

// Unit and conformance tests run from the TypeScript sources; system and container tests run the built program. Whatever measures
// times comes after what keeps the cores busy, which would spoil them.
const conditions = ["@skein/source"];
const fromSource = { resolve: { conditions }, ssr: { resolve: { conditions } } };

/** System tests that wait longest. A clean checkout knows no durations, and Vitest would begin with the largest files. */
const LONGEST = ["merge", "plug", "multicast-dropped", "joining", "changed-nodes", "leaving"].map(
  (name) => `/test/system/${name}.test.ts`,
);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const isLong = (file: TestSpecification) => LONGEST.some((name) => file.moduleId.endsWith(name));
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        ...fromSource,
        test: {
          name: "unit",
          include: [
            "packages/*/test/**/*.test.ts",
            "tools/*.test.ts",
            "test/plug/**/*.test.ts",
            "test/bench/**/*.test.ts",
          ],
          // Some take seconds where others use the same cores.
          testTimeout: 30_000,
          isolate: false,
        },
      },
      {
        ...fromSource,
        test: { name: "conformance", include: ["test/conformance/**/*.test.ts"], isolate: false },
      },
      {
        ...fromSource,
        test: {
          name: "conformance-mesh",
          // What lies deeper has the mesh in the test's own hand; these two make worlds of their own.
          include: ["test/conformance/*.test.ts"],
          exclude: ["test/conformance/joining.test.ts", "test/conformance/fuzz.test.ts"],
          env: { SKEIN_CONFORMANCE_NODES: "3" },
          testTimeout: 60_000,
          isolate: false,
        },
      },
      {
        ...fromSource,
        test: {
          name: "simulation",
          include: ["simulations/**/*.test.ts"],
          testTimeout: 120_000,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
      {
        ...fromSource,
        test: {
          name: "system",
          include: ["test/system/*.test.ts", "test/powercut/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          // They wait most of the time.
          maxWorkers: 6,
          sequence: { groupOrder: 2 },
        },
      },
      {
        ...fromSource,
        test: {
          name: "timed",
          include: ["test/system/timed/**/*.test.ts"],
          setupFiles: "test/support/quiet-disk.ts",
          testTimeout: 120_000,
          hookTimeout: 60_000,
          // Two at a time measure what one alone does: their nodes wait for timeouts most of the time.
          maxWorkers: 2,
          sequence: { groupOrder: 3 },
        },
      },
      {
        ...fromSource,
        test: {
          name: "containers",
          include: ["test/containers/**/*.test.ts"],
          setupFiles: "test/support/quiet-disk.ts",
          globalSetup: "test/containers/support/build-once.ts",
          testTimeout: 300_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          sequence: { groupOrder: 4 },
        },
      },
    ],
  },
});
