/**
 * House rules as a test, for what neither compiler nor linter sees.
 *
 * Idea after TigerBeetle's `tidy.zig`: a rule that is not checked is a wish.
 */

import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

const tracked = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
  encoding: "utf8",
})
  .split("\n")
  .filter((path) => path !== "");
const sources = tracked.filter((path) => /^packages\/[^/]+\/src\/.*\.ts$/.test(path));
const read = (path: string): string => readFileSync(path, "utf8");

test("every source file opens with a comment that says what it is for", () => {
  const silent = sources.filter((path) => !path.endsWith("index.ts") && !read(path).startsWith("/**"));
  expect(silent).toEqual([]);
});

test("no source file is longer than 400 lines: it would hold more than one idea", () => {
  expect(sources.filter((path) => read(path).split("\n").length > 400)).toEqual([]);
});

test("nothing is left open in code or skipped in tests", () => {
  const open = /\b(TODO|FIXME|XXX)\b|\b(test|it|describe)\.(skip|only|todo)\b/;
  const files = tracked.filter((path) => /\.(ts|js|mjs|sh)$/.test(path) && path !== "tools/tidy.test.ts");
  expect(files.filter((path) => open.test(read(path)))).toEqual([]);
});

test("packages import only what the architecture's table allows", () => {
  const allowed: Record<string, readonly string[]> = {
    kernel: [],
    "raft-js": [],
    broker: ["@skein/kernel"],
    mesh: ["@skein/kernel"],
    coordinator: ["@skein/kernel", "raft-js"],
    platform: ["@skein/kernel", "ws", "multicast-dns"],
  };
  const wrong = sources.flatMap((path) => {
    const names = allowed[path.split("/")[1] ?? ""];
    if (names === undefined) return [];
    const imports = [...read(path).matchAll(/(?:from|import)\s+"([^".][^"]*)"/g)].map(
      (found) => found[1] ?? "",
    );
    const isNode = path.startsWith("packages/platform/");
    return imports
      .filter((name) => !names.includes(name) && !(isNode && name.startsWith("node:")))
      .map((name) => `${path} imports ${name}`);
  });
  expect(wrong).toEqual([]);
});

test("every file that the documentation names exists", () => {
  const pages = tracked.filter(
    (path) => path === "README.md" || (path.startsWith("docs/") && path.endsWith(".md")),
  );
  const named = pages.flatMap((page) => {
    const paths = [...read(page).matchAll(/`((?:packages|test|tools|deploy|docs|simulations)\/[^`*\s]+)`/g)];
    return paths.map((found) => ({ page, path: found[1] ?? "" }));
  });
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter(({ path }) => !existsSync(path))).toEqual([]);
});

test("docs/reference/errors.md lists every error code and no other", () => {
  const codes = (text: string): string[] => [...new Set(text.match(/ERR_SKEIN_[A-Z_]+/g))].sort();
  expect(codes(read("docs/reference/errors.md"))).toEqual(codes(read("packages/kernel/src/errors.ts")));
});
