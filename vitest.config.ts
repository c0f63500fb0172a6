import { defineConfig } from "vitest/config";

// Unit and conformance tests run from the TypeScript sources; system and container tests run the built program, and
// each of these in a group of its own, because they measure times that other tests on the same cores would spoil.
const conditions = ["@skein/source"];
const fromSource = { resolve: { conditions }, ssr: { resolve: { conditions } } };

export default defineConfig({
  test: {
    projects: [
      { ...fromSource, test: { name: "unit", include: ["packages/*/test/**/*.test.ts", "tools/*.test.ts"] } },
      { ...fromSource, test: { name: "conformance", include: ["test/conformance/**/*.test.ts"] } },
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
          include: ["test/system/**/*.test.ts", "test/powercut/**/*.test.ts"],
          testTimeout: 120_000,
          hookTimeout: 60_000,
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
      {
        ...fromSource,
        test: {
          name: "containers",
          include: ["test/containers/**/*.test.ts"],
          globalSetup: "test/containers/support/build-once.ts",
          testTimeout: 300_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
