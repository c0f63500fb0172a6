/**
 * Prints the counts of a Vitest JSON report, the last line being `N passed, N failed`: `node count-tests.ts REPORT`.
 *
 * CI reads that line. A test file that does not load, or whose beforeAll fails, has no failed test, so it counts as
 * one failure, and so does a report that is missing: silence must never look like success.
 */

import { readFileSync } from "node:fs";

/** The part of Vitest's JSON reporter output that is counted. */
interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly testResults: readonly {
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/** @returns the report, or undefined if Vitest died before it wrote one. */
function read(path: string): Report | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Report;
  } catch {
    // The caller prints one failure; Vitest's own output above says why.
    return undefined;
  }
}

const report = read(process.argv[2] ?? "");
const broken = report?.testResults.filter(
  (file) => file.status === "failed" && file.assertionResults.every((result) => result.status !== "failed"),
);
const failed = report === undefined ? 1 : report.numFailedTests + (broken?.length ?? 0);
if (report !== undefined && report.numPendingTests > 0) {
  process.stdout.write(`${report.numPendingTests} skipped\n`);
}
process.stdout.write(`${report?.numPassedTests ?? 0} passed, ${failed} failed\n`);
