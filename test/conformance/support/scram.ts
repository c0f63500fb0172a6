/** SCRAM-SHA-256 in a test's hands: what a server keeps of a user, the hashes, and a client that knows the password. */

import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import type { ScramCredentials, ScramPorts } from "@skein/broker";

const ITERATIONS = 4096;

const hmac = (key: Uint8Array, text: Uint8Array | string): Buffer =>
  createHmac("sha256", key).update(text).digest();
const hash = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();

/** RFC 5802 section 3. */
export function credentials(password: string, salt: Uint8Array): ScramCredentials {
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, "sha256");
  const storedKey = hash(hmac(salted, "Client Key"));
  return { salt, iterations: ITERATIONS, storedKey, serverKey: hmac(salted, "Server Key") };
}

/** Ports of a server that knows `users`. `nonce`: what it adds to each client's. */
export function scramPorts(users: ReadonlyMap<string, ScramCredentials>, nonce = "server"): ScramPorts {
  return {
    credentialsOf: (username) => users.get(username),
    sha256: (bytes) => hash(bytes),
    hmacSha256: (key, bytes) => hmac(key, bytes),
    newNonce: () => nonce,
    secret: new Uint8Array(32),
  };
}

export class ScramClient {
  readonly #username: string;
  readonly #password: string;
  readonly #nonce: string;
  #signed = "";
  #salted = new Uint8Array(0);

  constructor(username: string, password: string, nonce = "client") {
    this.#username = username;
    this.#password = password;
    this.#nonce = nonce;
  }

  get first(): Buffer {
    return Buffer.from(`n,,${this.#bare}`);
  }

  /** The answer to what the server said first. */
  final(serverFirst: Uint8Array): Buffer {
    const text = Buffer.from(serverFirst).toString();
    const [, nonce = "", salt = "", iterations = ""] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(text) ?? [];
    this.#salted = pbkdf2Sync(this.#password, Buffer.from(salt, "base64"), Number(iterations), 32, "sha256");
    const withoutProof = `c=biws,r=${nonce}`;
    this.#signed = `${this.#bare},${text},${withoutProof}`;
    const clientKey = hmac(this.#salted, "Client Key");
    const signature = hmac(hash(clientKey), this.#signed);
    const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0)));
    return Buffer.from(`${withoutProof},p=${proof.toString("base64")}`);
  }

  /** What only a server that knows the user can say last. */
  get serverFinal(): string {
    return `v=${hmac(hmac(this.#salted, "Server Key"), this.#signed).toString("base64")}`;
  }

  get #bare(): string {
    return `n=${this.#username},r=${this.#nonce}`;
  }
}
