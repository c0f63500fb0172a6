/** The version of the program, from its package.json, which is one folder above both sources and build. */

import { readFileSync } from "node:fs";

export const VERSION: string = readVersion();

function readVersion(): string {
  const text = readFileSync(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
