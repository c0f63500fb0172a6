/**
 * Makes packages/skein/dist/bundle, which bin/skein.cjs runs: the program as a few files. Every command has one of its own, which is read
 * when that command is called.
 *
 * Node keeps more of 420 ES modules than of a handful of others, for as long as the program runs. What each choice below saves is in
 * docs/decisions/0015-one-bundle.md.
 */

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "rolldown";

const program = join(import.meta.dirname, "../packages/skein");
/** As deep in the package as the sources, which look for its other files from where they are. */
const target = join(program, "dist/bundle");

/** `SOURCE_DATE_EPOCH` (reproducible-builds.org): seconds since 1970, where the same sources must make the same files. */
const { SOURCE_DATE_EPOCH: epoch } = process.env;
const builtAt = epoch === undefined ? new Date() : new Date(Number(epoch) * 1000);
const builtAtText = builtAt.toISOString().replace(/T(.*)\.\d+Z/, " $1+0000");

const { output } = await build({
  input: { main: join(program, "src/main.ts") },
  platform: "node",
  // From the sources, as tests do: whoever has changed one and forgets to compile runs no older one.
  resolve: { conditionNames: ["@skein/source", "node", "import", "default"] },
  // For $SYS/broker/timestamp.
  transform: { define: { SKEIN_BUILT_AT: JSON.stringify(builtAtText) } },
  write: false,
  output: {
    // An ES module that imports from Node reads every property of what it imports from, and so loads what is behind each.
    format: "cjs",
    entryFileNames: "[name].cjs",
    chunkFileNames: "[name].cjs",
    // V8 keeps the text.
    comments: false,
  },
});
rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
for (const file of output) {
  if (file.type !== "chunk") throw new Error(`${file.fileName} is no code`);
  writeFileSync(join(target, file.fileName), inAscii(file.code));
}

/** One other character, as in a library's message, and V8 keeps two bytes for each of the file. They stand in strings only. */
function inAscii(code: string): string {
  return code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
