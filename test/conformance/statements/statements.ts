/**
 * The normative statements of MQTT 3.1.1 and 5.0, from the text files beside this one: a line each, in this project's words,
 * with the reason why no test shows it, if none does.
 */

import { readFileSync } from "node:fs";

export type Version = "3.1.1" | "5.0";
export const VERSIONS: readonly Version[] = ["3.1.1", "5.0"];

/** Why a statement cannot be shown by what a server does. */
export const UNSHOWN = {
  client: "binds the client alone",
  unused: "never comes up",
} as const;

export interface Statement {
  readonly version: Version;
  /** As in the specification, without `MQTT-`: the section and a number. */
  readonly id: string;
  readonly text: string;
  readonly unshown: { readonly kind: keyof typeof UNSHOWN; readonly why: string } | undefined;
}

export function readStatements(version: Version): readonly Statement[] {
  const lines = readFileSync(new URL(`mqtt-${version}.txt`, import.meta.url), "utf8").split("\n");
  return lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => parse(line, version));
}

function parse(line: string, version: Version): Statement {
  const [id = "", text = "", reason] = line.split(" | ");
  if (!/^\d+\.\d+\.\d+-\d+$/.test(id) || text === "") throw new Error(`not a statement: ${line}`);
  if (reason === undefined) return { version, id, text, unshown: undefined };
  const [kind = "", why] = reason.split(": ");
  if (!(kind in UNSHOWN) || why === undefined) throw new Error(`not a reason: ${line}`);
  return { version, id, text, unshown: { kind: kind as keyof typeof UNSHOWN, why } };
}
