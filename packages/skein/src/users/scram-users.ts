/**
 * The users that may come in with a password: a file, read at the start and again on SIGHUP.
 *
 * A file that cannot be used ends a start; later it leaves the users before in their place, and the log says why.
 */

import { readFileSync } from "node:fs";
import { type Authenticator, type ScramCredentials, scramAuthenticator } from "@skein/broker";
import { type Log, SkeinError } from "@skein/kernel";
import { systemScramHashes } from "@skein/platform";
import { Problem } from "../config/addresses.ts";
import { parseUserLine } from "./user-line.ts";

type Users = ReadonlyMap<string, ScramCredentials>;

export class ScramUsers {
  readonly authenticator: Authenticator;
  readonly #path: string;
  readonly #log: Log;
  #users: Users;

  /** @throws {SkeinError} ERR_SKEIN_CONFIG */
  constructor(path: string, log: Log) {
    this.#path = path;
    this.#log = log;
    this.#users = readUsers(path);
    this.authenticator = scramAuthenticator({
      ...systemScramHashes,
      credentialsOf: (name) => this.#users.get(name),
    });
  }

  /** Who is connected stays so; who has gone from the file cannot come in again. */
  reload(): void {
    try {
      this.#users = readUsers(this.#path);
      this.#log.info({ file: this.#path, users: this.#users.size }, "users read again");
    } catch (error) {
      this.#log.error({ error }, "users not read again, those before stay");
    }
  }
}

function readUsers(path: string): Users {
  const users = new Map<string, ScramCredentials>();
  for (const [at, text] of readLines(path).entries()) {
    const line = text.trim();
    if (line === "" || line.startsWith("#")) continue;
    const user = parseUserLine(line);
    if (user instanceof Problem) throw unusable(path, `line ${at + 1}: ${user.text}`);
    if (users.has(user.name)) throw unusable(path, `line ${at + 1}: ${user.name} was there before`);
    users.set(user.name, user.credentials);
  }
  return users;
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, "utf8").split("\n");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw unusable(path, code === "ENOENT" ? "there is no such file" : `it cannot be read (${code})`, error);
  }
}

function unusable(path: string, reason: string, cause?: unknown): SkeinError {
  return new SkeinError("ERR_SKEIN_CONFIG", `Cannot use the users in ${path}: ${reason}.`, { cause });
}
