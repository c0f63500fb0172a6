/** docs/reference/mqtt-conformance.md: every statement with the tests that show it, or why none does. */

import { ON_ONE_NODE, WITHOUT_MESH } from "../support/placement.ts";
import { type NamedTest, outsideTests } from "./shown-by.ts";
import { readStatements, type Statement, UNSHOWN, VERSIONS, type Version } from "./statements.ts";

/** Tests listed for a statement; more would say no more. */
const LISTED_MAX = 4;

export function conformanceTable(): string {
  const tests = outsideTests();
  const counts = VERSIONS.map((version) => countsOf(version, tests));
  const parts = VERSIONS.map((version) => sectionOf(version, tests));
  return `${[INTRODUCTION, COUNTS_HEAD, ...counts, "", ...parts].join("\n")}\n`;
}

const INTRODUCTION = `# MQTT conformance

Made by \`npm run conformance:table\` from \`test/conformance\`; a test fails if it is stale. The statements are those of appendix B of
both specifications, in this project's words. Each has a test, or a reason why nothing that a server
does can show it. MQTT 3.1 has no numbered statements; its tests are in \`test/conformance/mqtt-31.test.ts\`.

\`npm run test:conformance\` runs the tests against one broker, \`npm run test:conformance-mesh\` against a mesh of three nodes with the
clients spread over them. Column "mesh": *spread*; *one node* or *no mesh*, for the reason given; *held*, where the test has the mesh or the store
in its own hand; *sockets*, where it is about real ones.
`;

const COUNTS_HEAD = `| version | statements | shown by tests | spread over the mesh | ${Object.values(UNSHOWN).join(" | ")} |
|---|---|---|---|${"---|".repeat(Object.keys(UNSHOWN).length)}`;

function countsOf(version: Version, tests: readonly NamedTest[]): string {
  const statements = readStatements(version);
  const shown = statements.filter(({ id }) => tests.some(({ ids }) => ids[version].includes(id)));
  const spread = shown.filter(({ id }) => {
    return tests.some(({ ids, mesh }) => mesh === "spread" && ids[version].includes(id));
  });
  const unshown = Object.keys(UNSHOWN).map(
    (kind) => statements.filter((statement) => statement.unshown?.kind === kind).length,
  );
  return `| ${version} | ${statements.length} | ${shown.length} | ${spread.length} | ${unshown.join(" | ")} |`;
}

function sectionOf(version: Version, tests: readonly NamedTest[]): string {
  const rows = readStatements(version).map((statement) => rowOf(statement, tests));
  const head = ["| statement | demands | shown by | mesh |", "|---|---|---|---|"];
  return [`## MQTT ${version}`, "", ...head, ...rows, ""].join("\n");
}

function rowOf({ version, id, text, unshown }: Statement, all: readonly NamedTest[]): string {
  if (unshown !== undefined)
    return `| MQTT-${id} | ${escaped(text)} | *${UNSHOWN[unshown.kind]}*: ${escaped(unshown.why)} | |`;
  const tests = all.filter(({ ids }) => ids[version].includes(id));
  const names = tests
    .slice(0, LISTED_MAX)
    .map(({ file, name }) => `[${fileName(file)}](../../${file}): ${escaped(name)}`);
  if (tests.length > LISTED_MAX) names.push(`and ${tests.length - LISTED_MAX} more`);
  return `| MQTT-${id} | ${escaped(text)} | ${names.join("<br>")} | ${meshOf(tests)} |`;
}

function meshOf(tests: readonly NamedTest[]): string {
  const placements = tests.map(({ mesh }) => mesh);
  if (placements.includes("spread")) return "spread";
  const [mesh = "held"] = placements;
  if (isReason(mesh, ON_ONE_NODE)) return `one node: ${ON_ONE_NODE[mesh]}`;
  return isReason(mesh, WITHOUT_MESH) ? `no mesh: ${WITHOUT_MESH[mesh]}` : mesh;
}

function isReason<Reason extends string>(mesh: string, reasons: Record<Reason, string>): mesh is Reason {
  return mesh in reasons;
}

function fileName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1).replace(".test.ts", "");
}

/** In a cell of a table, as plain text. */
function escaped(text: string): string {
  return text.replace(/[|*_<#$]/g, (sign) => `\\${sign}`);
}
