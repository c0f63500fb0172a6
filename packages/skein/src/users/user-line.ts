/**
 * One user of the file that `--scram-users` names: `name:salt:iterations:storedkey:serverkey`, salt and keys in base64.
 *
 * That is all a server needs to check a password by SCRAM-SHA-256, and the password cannot be had from it. Whoever reads the line can
 * try passwords at the price of `iterations` hashes each, and could pretend to the user to be this server.
 *
 * Source: RFC 5802 section 3.
 */

import { decodeBase64, encodeBase64, SCRAM_ITERATIONS, type ScramCredentials } from "@skein/broker";
import { saltedPassword, systemScramHashes } from "@skein/platform";
import { Problem } from "../config/addresses.ts";

const KEY_BYTES = 32;
const SALT_BYTES = 16;
/** RFC 7677 section 4. */
export const ITERATIONS_MIN = 4_096;
/** A client would compute for minutes. */
export const ITERATIONS_MAX = 10_000_000;

export interface User {
  readonly name: string;
  readonly credentials: ScramCredentials;
}

/** Reads one line. */
export function parseUserLine(line: string): User | Problem {
  const [name = "", saltText = "", iterationsText = "", storedText = "", serverText = "", ...rest] =
    line.split(":");
  const [salt, storedKey, serverKey] = [saltText, storedText, serverText].map(decodeBase64);
  const iterations = /^\d{1,8}$/.test(iterationsText) ? Number(iterationsText) : 0;
  const isComplete =
    isUserName(name) &&
    salt !== undefined &&
    salt.length > 0 &&
    storedKey?.length === KEY_BYTES &&
    serverKey?.length === KEY_BYTES &&
    rest.length === 0;
  if (!isComplete) return new Problem("write lines with: skein scram-user NAME");
  if (iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX)
    return new Problem(`iterations must be from ${ITERATIONS_MIN} to ${ITERATIONS_MAX}`);
  return { name, credentials: { salt, iterations, storedKey, serverKey } };
}

/** Makes the line of a new user, or of an old one with a new password. */
export async function userLine(
  name: string,
  password: string,
  randomBytes: (count: number) => Uint8Array,
  iterations: number = SCRAM_ITERATIONS,
): Promise<string> {
  const { sha256, hmacSha256 } = systemScramHashes;
  const salt = randomBytes(SALT_BYTES);
  // Part of what RFC 4013 demands; clients that do nothing agree as long as the password is typed the same way.
  const salted = await saltedPassword(password.normalize("NFKC"), salt, iterations);
  const storedKey = sha256(hmacSha256(salted, Buffer.from("Client Key")));
  const serverKey = hmacSha256(salted, Buffer.from("Server Key"));
  return [name, encodeBase64(salt), iterations, encodeBase64(storedKey), encodeBase64(serverKey)].join(":");
}

export function isUserName(text: string): boolean {
  return text !== "" && text.length <= 128 && !text.includes(":") && !/\p{C}/u.test(text);
}
