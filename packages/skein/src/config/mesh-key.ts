/**
 * The mesh key: 256 bits that every node of a mesh has and nobody else.
 *
 * Given as 64 hexadecimal digits or as `@FILE`; otherwise the one in the data directory (`mesh.key`). The first node of
 * a mesh finds none there and makes one, so that a mesh is never without a key (architecture.md section 7).
 */

import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type RandomSource, SkeinError } from "@skein/kernel";

const KEY_BYTES = 32;
const KEY_FILE = "mesh.key";

export interface MeshKey {
  readonly bytes: Uint8Array;
  /** File that this call made the key in; undefined: the key was there before. */
  readonly createdIn: string | undefined;
}

/**
 * Returns the key of this node. `setting` is what the operator gave, if anything; `dataDirectory` exists.
 *
 * @throws {SkeinError} ERR_SKEIN_CONFIG if a given key or key file cannot be used, ERR_SKEIN_DATA_DIR if the
 * generated one cannot be stored.
 */
export function loadMeshKey(
  setting: string | undefined,
  dataDirectory: string,
  random: RandomSource,
): MeshKey {
  if (setting !== undefined && !setting.startsWith("@"))
    return { bytes: fromHex(setting), createdIn: undefined };
  const path = setting === undefined ? join(dataDirectory, KEY_FILE) : setting.slice(1);
  const text = readKeyFile(path, setting === undefined);
  if (text === undefined) return createKey(path, random);
  if (!/^[0-9a-f]{64}$/i.test(text)) {
    throw new SkeinError(
      "ERR_SKEIN_CONFIG",
      `Cannot use the mesh key in ${path}: the file must hold 64 hexadecimal digits and nothing else; copy it again from another node.`,
    );
  }
  return { bytes: fromHex(text), createdIn: undefined };
}

function readKeyFile(path: string, mayBeMissing: boolean): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (mayBeMissing && code === "ENOENT") return undefined;
    const reason = code === "ENOENT" ? "there is no such file" : `it cannot be read (${code})`;
    throw new SkeinError("ERR_SKEIN_CONFIG", `Cannot use the mesh key in ${path}: ${reason}.`, {
      cause: error,
    });
  }
}

function createKey(path: string, random: RandomSource): MeshKey {
  const bytes = random.bytes(KEY_BYTES);
  try {
    writeFileSync(path, `${Buffer.from(bytes).toString("hex")}\n`, { mode: 0o600, flush: true });
    chmodSync(path, 0o600);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new SkeinError("ERR_SKEIN_DATA_DIR", `Cannot store the new mesh key in ${path} (${code}).`, {
      cause: error,
    });
  }
  return { bytes, createdIn: path };
}

function fromHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}
