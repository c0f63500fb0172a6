/**
 * SCRAM-SHA-256: the client proves that it knows the password, and the server that it knows the client, without either
 * sending it or the server having it.
 *
 * The server keeps salt, iterations and two keys made of the password, from which the password cannot be had. A name that
 * does not exist gets a salt like any other (always the same for the same name) and fails at the end, so that names cannot be tried
 * out. Hashing is a port; nothing here is slow, because only the client derives keys from the password.
 *
 * Source: RFC 5802 (SCRAM), RFC 7677 (SHA-256), MQTT 5 section 4.12.
 */

import { decodeUtf8, encodeUtf8Into, utf8Length } from "@skein/kernel";
import { ReasonCode } from "../codec/reason-codes.ts";
import type { AuthenticationExchange, AuthenticationStep, Authenticator } from "../ports.ts";
import { encodeBase64 } from "./base64.ts";
import { type ClientFirst, readClientFinal, readClientFirst } from "./scram-messages.ts";

/** What a server keeps of one user: RFC 5802 section 3. */
export interface ScramCredentials {
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

export interface ScramPorts {
  /** Undefined: there is no such user. */
  credentialsOf(username: string): ScramCredentials | undefined;
  sha256(bytes: Uint8Array): Uint8Array;
  hmacSha256(key: Uint8Array, bytes: Uint8Array): Uint8Array;
  /** Unguessable printable text without a comma. */
  newNonce(): string;
  /** Unguessable; the salts of users that do not exist are made of it. */
  readonly secret: Uint8Array;
}

const SCRAM_SHA_256 = "SCRAM-SHA-256";

/** Iterations that users get unless told otherwise: RFC 7677 wants at least 4096; the client pays for them, at every connect. */
export const SCRAM_ITERATIONS = 15_000;

const SALT_BYTES = 16;
const KEY_BYTES = 32;

/** Authenticates by SCRAM-SHA-256 and no other method. */
export function scramAuthenticator(ports: ScramPorts): Authenticator {
  return { begin: (method) => (method === SCRAM_SHA_256 ? new ScramExchange(ports) : undefined) };
}

class ScramExchange implements AuthenticationExchange {
  readonly #ports: ScramPorts;
  #first: ClientFirst | undefined;
  #serverFirst = "";
  #nonce = "";
  #credentials: ScramCredentials | undefined;

  constructor(ports: ScramPorts) {
    this.#ports = ports;
  }

  step(data: Uint8Array): AuthenticationStep {
    const text = textOf(data);
    if (text === undefined) return MALFORMED;
    return this.#first === undefined ? this.#begin(text) : this.#finish(text, this.#first);
  }

  #begin(text: string): AuthenticationStep {
    const first = readClientFirst(text);
    if (first === undefined) return MALFORMED;
    this.#first = first;
    this.#credentials = this.#ports.credentialsOf(first.username);
    const salt = this.#credentials?.salt ?? this.#saltOfNobody(first.username);
    const iterations = this.#credentials?.iterations ?? SCRAM_ITERATIONS;
    this.#nonce = first.nonce + this.#ports.newNonce();
    this.#serverFirst = `r=${this.#nonce},s=${encodeBase64(salt)},i=${iterations}`;
    return { kind: "continue", data: bytesOf(this.#serverFirst) };
  }

  #finish(text: string, { username, bare, gs2Header }: ClientFirst): AuthenticationStep {
    const final = readClientFinal(text);
    if (final === undefined || final.gs2Header !== gs2Header || final.nonce !== this.#nonce) return MALFORMED;
    const { hmacSha256, sha256 } = this.#ports;
    const { storedKey, serverKey } = this.#credentials ?? NOBODY;
    const signed = bytesOf(`${bare},${this.#serverFirst},${final.withoutProof}`);
    const clientSignature = hmacSha256(storedKey, signed);
    const clientKey = clientSignature.map((byte, at) => byte ^ (final.proof[at] ?? 0));
    const isProven = final.proof.length === KEY_BYTES && areEqual(sha256(clientKey), storedKey);
    if (!isProven || this.#credentials === undefined) return WRONG;
    return {
      kind: "accepted",
      identity: username,
      data: bytesOf(`v=${encodeBase64(hmacSha256(serverKey, signed))}`),
    };
  }

  #saltOfNobody(username: string): Uint8Array {
    return this.#ports.hmacSha256(this.#ports.secret, bytesOf(username)).subarray(0, SALT_BYTES);
  }
}

const NOBODY = { storedKey: new Uint8Array(KEY_BYTES), serverKey: new Uint8Array(KEY_BYTES) };

const MALFORMED: AuthenticationStep = {
  kind: "refused",
  reasonCode: ReasonCode.NotAuthorized,
  reason: "the SCRAM message is malformed",
};
const WRONG: AuthenticationStep = {
  kind: "refused",
  reasonCode: ReasonCode.BadUserNameOrPassword,
  reason: "user name or password is wrong",
};

/** Takes as long for any two arrays of the same length. */
function areEqual(one: Uint8Array, other: Uint8Array): boolean {
  let difference = one.length ^ other.length;
  for (let i = 0; i < one.length; i++) difference |= (one[i] as number) ^ (other[i] ?? 0);
  return difference === 0;
}

function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(utf8Length(text));
  encodeUtf8Into(text, bytes, 0);
  return bytes;
}

/** Undefined: it is not UTF-8. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return decodeUtf8(bytes, 0, bytes.length);
  } catch {
    // decodeUtf8 has one reason to throw; the exchange is refused for it.
    return undefined;
  }
}
