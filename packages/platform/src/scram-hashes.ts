/** What SCRAM-SHA-256 needs of an operating system: hashes, and numbers that nobody can guess. */

import { createHash, createHmac, pbkdf2, randomBytes } from "node:crypto";

const NONCE_BYTES = 18;
const SECRET_BYTES = 32;
const KEY_BYTES = 32;

export interface ScramHashes {
  sha256(bytes: Uint8Array): Uint8Array;
  hmacSha256(key: Uint8Array, bytes: Uint8Array): Uint8Array;
  newNonce(): string;
  /** The same as long as the process lives. */
  readonly secret: Uint8Array;
}

export const systemScramHashes: ScramHashes = {
  sha256: (bytes) => new Uint8Array(createHash("sha256").update(bytes).digest()),
  hmacSha256: (key, bytes) => new Uint8Array(createHmac("sha256", key).update(bytes).digest()),
  newNonce: () => randomBytes(NONCE_BYTES).toString("base64"),
  secret: new Uint8Array(randomBytes(SECRET_BYTES)),
};

/** The only slow part: a key made of a password, on another thread. */
export function saltedPassword(password: string, salt: Uint8Array, iterations: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    pbkdf2(password, salt, iterations, KEY_BYTES, "sha256", (error, key) => {
      if (error === null) resolve(new Uint8Array(key));
      else reject(error);
    });
  });
}
