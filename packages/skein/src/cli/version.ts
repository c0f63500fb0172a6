/** Which program this is: its version, from its package.json, which is one folder above both sources and build, and when that build was made. */

import { readFileSync } from "node:fs";

export const VERSION: string = readVersion();

/** Set by tools/bundle.ts. */
declare const SKEIN_BUILT_AT: string | undefined;

/** As mosquitto writes it, in UTC; undefined: run from the sources. */
export const BUILT_AT: string | undefined =
  typeof SKEIN_BUILT_AT === "undefined" ? undefined : SKEIN_BUILT_AT;

function readVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
