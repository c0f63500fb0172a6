/**
 * Which tests show which statements: the ids stand in the tests' names. `[MQTT-3.1.0-2]` is a statement of MQTT 5.0; where
 * `3.1.1` stands before a row of brackets they are statements of MQTT 3.1.1.
 *
 * Names are read from the sources, as string literals: of a table of cases each case with an id counts.
 */

import { readdirSync, readFileSync } from "node:fs";
import { type NoMeshReason, ON_ONE_NODE, type OneNodeReason, WITHOUT_MESH } from "../support/placement.ts";
import type { Version } from "./statements.ts";

/** Where a test's clients are in the mesh run: on all nodes, on one for a reason, or the test is not in it. */
type Placement = "spread" | "held" | "sockets" | OneNodeReason | NoMeshReason;

/** A test, or a case of one, that names statements. */
export interface NamedTest {
  /** From the root of the repository. */
  readonly file: string;
  /** Without ids. */
  readonly name: string;
  readonly ids: Readonly<Record<Version, readonly string[]>>;
  /** How the mesh run treats it. */
  readonly mesh: Placement;
}

const ROOT = new URL("../../../", import.meta.url);
/** Comments, and string literals; a literal is in group 1. */
const TOKENS = /\/\*[\s\S]*?\*\/|\/\/.*|("(?:[^"\\\n]|\\.)*"|`(?:[^`\\]|\\.)*`)/g;
const ID_ROW = /(3\.1\.1 )?((?:\[MQTT-\d[\d.]*-\d+\] ?)+)/g;
const ID = /\[MQTT-(\d[\d.]*-\d+)\]/g;
/** A test at the beginning of a line, up to its end. */
const TEST = /^test[.(][\s\S]*?^\S*\);$/gm;

/** Tests that see a node from outside: over a connection. */
export function outsideTests(): readonly NamedTest[] {
  return [
    ...testsUnder("test/conformance"),
    ...testsUnder("test/system"),
    ...testsUnder("packages/platform/test"),
  ];
}

/** All others that name statements. */
export function insideTests(): readonly NamedTest[] {
  const packages = readdirSync(new URL("packages/", ROOT)).filter((name) => name !== "platform");
  return packages.flatMap((name) => testsUnder(`packages/${name}/test`));
}

function testsUnder(folder: string): readonly NamedTest[] {
  const names = readdirSync(new URL(`${folder}/`, ROOT), { recursive: true, encoding: "utf8" });
  return names
    .filter((name) => name.endsWith(".test.ts"))
    .sort()
    .flatMap((name) => testsIn(`${folder}/${name}`));
}

function testsIn(file: string): readonly NamedTest[] {
  const source = readFileSync(new URL(file, ROOT), "utf8");
  const found: NamedTest[] = [];
  for (const { index, 1: literal } of source.matchAll(TOKENS)) {
    if (literal === undefined) continue;
    const ids = idsIn(literal);
    if (ids["3.1.1"].length + ids["5.0"].length === 0) continue;
    const name = literal
      .slice(1, -1)
      .replace(ID_ROW, "")
      .replace(/^(and )?[ ,:]*/, "")
      .trim();
    found.push({ file, name, ids, mesh: placementOf(file, source, index) });
  }
  return found;
}

function idsIn(text: string): NamedTest["ids"] {
  const ids: Record<Version, string[]> = { "3.1.1": [], "5.0": [] };
  for (const [, isOlder, row = ""] of text.matchAll(ID_ROW)) {
    const version = isOlder === undefined ? "5.0" : "3.1.1";
    ids[version].push(...[...row.matchAll(ID)].map(([, id = ""]) => id));
  }
  return ids;
}

/** The mesh run takes the files directly in `test/conformance` (vitest.config.ts). */
function placementOf(file: string, source: string, at: number): Placement {
  if (file.startsWith("test/conformance/ports/")) return "held";
  if (!file.startsWith("test/conformance/")) return "sockets";
  for (const { index, 0: text } of source.matchAll(TEST)) {
    if (at < index || at >= index + text.length) continue;
    const [, reason = ""] = text.match(/(?:onOneNode|withoutMesh)\("(\w+)"/) ?? [];
    return reason in ON_ONE_NODE || reason in WITHOUT_MESH ? (reason as Placement) : "spread";
  }
  return "spread";
}
