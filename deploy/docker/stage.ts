/**
 * Copies what a node needs at run time, and nothing else, into an empty directory: `node stage.ts DIRECTORY`.
 *
 * The image must not carry compilers and test tools, and building it must not need a registry. package-lock.json
 * names every installed package with its dependencies; the walk starts at packages/skein and resolves each name
 * as Node does, from the nearest node_modules upwards. Packages of this workspace become relative links again,
 * as npm made them, so the tree runs wherever it is copied.
 */

import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

/** One entry of the lock file's `packages`, keyed by its folder relative to the repository root. */
interface LockEntry {
  /** Set on a workspace link: the folder it points to. */
  readonly resolved?: string;
  readonly link?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const PROGRAM = "packages/skein";
const root = resolve(import.meta.dirname, "../..");

/** Every folder reachable from the program, links included. @throws {Error} if the lock file lacks a dependency. */
function productionClosure(lock: Readonly<Record<string, LockEntry>>): Set<string> {
  const reached = new Set<string>([PROGRAM]);
  for (const folder of reached) {
    const entry = lock[folder] ?? {};
    if (entry.link && entry.resolved !== undefined) reached.add(entry.resolved);
    const optional = entry.optionalDependencies ?? {};
    for (const name of Object.keys({ ...entry.dependencies, ...optional })) {
      const found = locate(lock, folder, name);
      if (found !== undefined) reached.add(found);
      else if (!(name in optional))
        throw new Error(`package-lock.json has no "${name}" for "${folder}": run npm ci`);
    }
  }
  return reached;
}

/** Node's resolution on the lock file: the nearest `node_modules/name` from `folder` upwards. */
function locate(lock: Readonly<Record<string, LockEntry>>, folder: string, name: string): string | undefined {
  for (let from = folder; ; from = dirname(from) === "." ? "" : dirname(from)) {
    const candidate = from === "" ? `node_modules/${name}` : `${from}/node_modules/${name}`;
    if (candidate in lock) return candidate;
    if (from === "") return undefined;
  }
}

/** Copies one folder of the closure. A workspace package gives its manifest, its build and its bin only. */
function copyFolder(folder: string, entry: LockEntry, target: string): void {
  const to = join(target, folder);
  mkdirSync(dirname(to), { recursive: true });
  if (entry.link && entry.resolved !== undefined) {
    symlinkSync(relative(dirname(folder), entry.resolved), to);
    return;
  }
  if (folder.startsWith("node_modules/")) {
    // Nested node_modules are closure members of their own; those that are not stay behind.
    const nested = join(root, folder, "node_modules");
    // An optional package that npm left out for this machine's platform is in the lock file, but not on disk.
    if (!existsSync(join(root, folder))) return;
    cpSync(join(root, folder), to, { recursive: true, filter: (source) => source !== nested });
    return;
  }
  if (!existsSync(join(root, folder, "dist"))) throw new Error(`"${folder}" is not built: run npm run build`);
  for (const part of ["package.json", "dist", "bin"]) {
    const source = join(root, folder, part);
    if (existsSync(source)) cpSync(source, join(to, part), { recursive: true });
  }
}

const target = process.argv[2];
if (target === undefined) throw new Error("usage: node stage.ts DIRECTORY");
const lockFile = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
  readonly packages: Readonly<Record<string, LockEntry>>;
};
// Parents before children, so that a nested node_modules finds its folder already there.
for (const folder of [...productionClosure(lockFile.packages)].sort()) {
  copyFolder(folder, lockFile.packages[folder] ?? {}, target);
}
for (const file of ["package.json", "LICENSE", "deploy/docker/healthcheck.mjs"]) {
  cpSync(join(root, file), join(target, file));
}
cpSync(join(import.meta.dirname, ".dockerignore"), join(target, ".dockerignore"));
