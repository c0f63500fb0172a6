/**
 * Makes a code expensive to guess: scrypt turns its 55 bits into secret and tag, with a salt that every node of a mesh knows.
 *
 * N = 2^14, r = 8, p = 2: 16 MiB of memory, about 0.1 s on a PC (measured: 95 ms on a busy 2-core x86 VM), by the same
 * count about 1 s on a Pi Zero. Whoever takes part in one attempt to join (it takes an active attacker) can try codes at
 * home at this price: half of 2^55 at 0.1 s are 57 million years of one core, and the code is void after 30 minutes.
 *
 * Source: RFC 7914 (scrypt), architecture.md section 7.
 */

import { createHmac, scrypt, scryptSync } from "node:crypto";

const COST = { N: 2 ** 14, r: 8, p: 2, maxmem: 32 * 1024 * 1024 } as const;
/** 32 bytes of secret and one of tag, as the mesh wants them. */
const STRETCHED_BYTES = 33;
const SALT_BYTES = 8;

/** The salt of a mesh, 16 hexadecimal digits. Anybody may know it; nobody learns the key from it. */
export function saltOf(meshKey: Uint8Array): string {
  return createHmac("sha256", meshKey)
    .update("skein join salt")
    .digest()
    .subarray(0, SALT_BYTES)
    .toString("hex");
}

/** At once, for a program that has nothing else to do. */
export function stretchNow(code: string, salt: string): Uint8Array {
  return new Uint8Array(scryptSync(code, salt, STRETCHED_BYTES, COST));
}

/** On another thread, for a node that serves clients meanwhile. */
export function stretch(code: string, salt: string): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    scrypt(code, salt, STRETCHED_BYTES, COST, (error, bytes) => {
      if (error === null) resolve(new Uint8Array(bytes));
      else reject(error);
    });
  });
}
