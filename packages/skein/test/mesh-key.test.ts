import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RandomSource } from "@skein/kernel";
import { expect, test } from "vitest";
import { loadMeshKey } from "../src/config/mesh-key.ts";
import { scratchDirectory } from "./support/scratch-directory.ts";

const KEY = "ab".repeat(32);
const BYTES = new Uint8Array(32).fill(0xab);
const counting: RandomSource = { bytes: (count) => Uint8Array.from({ length: count }, (_, at) => at) };

test("a key given as digits is used as it is", () => {
  expect(loadMeshKey(KEY, "/nonexistent", counting)).toEqual({ bytes: BYTES, createdIn: undefined });
});

test("a key given as @FILE is read from there, white space around it ignored", () => {
  const path = join(scratchDirectory(), "key");
  writeFileSync(path, `  ${KEY.toUpperCase()}\n`);
  expect(loadMeshKey(`@${path}`, "/nonexistent", counting)).toEqual({ bytes: BYTES, createdIn: undefined });
});

test("without a key one is made, stored for the owner only, and found again", () => {
  const directory = scratchDirectory();
  const path = join(directory, "mesh.key");
  const made = loadMeshKey(undefined, directory, counting);
  expect(made).toEqual({ bytes: counting.bytes(32), createdIn: path });
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(path, "utf8")).toBe(`${Buffer.from(made.bytes).toString("hex")}\n`);
  expect(loadMeshKey(undefined, directory, counting)).toEqual({ bytes: made.bytes, createdIn: undefined });
});

test("a key file that is missing or holds something else is refused by name, never overwritten", () => {
  const directory = scratchDirectory();
  const path = join(directory, "mesh.key");
  expect(() => loadMeshKey(`@${path}`, directory, counting)).toThrow(
    `Cannot use the mesh key in ${path}: there is no such file.`,
  );
  writeFileSync(path, "short");
  expect(() => loadMeshKey(undefined, directory, counting)).toThrow(
    `Cannot use the mesh key in ${path}: the file must hold 64 hexadecimal digits`,
  );
  expect(readFileSync(path, "utf8")).toBe("short");
});
