import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Log, SkeinError } from "@skein/kernel";
import { expect, test } from "vitest";
import { ScramClient } from "../../../test/conformance/support/scram.ts";
import { Problem } from "../src/config/addresses.ts";
import { ScramUsers } from "../src/users/scram-users.ts";
import { parseUserLine, userLine } from "../src/users/user-line.ts";
import { scratchDirectory } from "./support/scratch-directory.ts";

const SILENT: Log = { error() {}, warn() {}, info() {}, debug() {} };
const KEY = Buffer.alloc(32, 7).toString("base64");
const GOOD = `ann:c2FsdA==:4096:${KEY}:${KEY}`;

const salt = (count: number): Uint8Array => new Uint8Array(count).fill(1);

function fileWith(...lines: string[]): string {
  const path = join(scratchDirectory(), "users");
  writeFileSync(path, lines.join("\n"));
  return path;
}

/** Whether `name` gets in with `password`. */
function isLetIn(users: ScramUsers, name: string, password: string): boolean {
  const client = new ScramClient(name, password);
  const exchange = users.authenticator.begin("SCRAM-SHA-256");
  const first = exchange?.step(client.first);
  if (first?.kind !== "continue") return false;
  const last = exchange?.step(client.final(first.data));
  return last?.kind === "accepted" && Buffer.from(last.data ?? []).toString() === client.serverFinal;
}

test("the line of a user lets in who knows the password, and does not hold it", async () => {
  const line = await userLine("ann", "pencil", salt, 4096);
  expect(line).not.toContain("pencil");
  const users = new ScramUsers(fileWith("# users of the house", "", line), SILENT);
  expect(isLetIn(users, "ann", "pencil")).toBe(true);
  expect(isLetIn(users, "ann", "Pencil")).toBe(false);
  expect(isLetIn(users, "bob", "pencil")).toBe(false);
});

test("the same password gives another line each time", async () => {
  let next = 0;
  const random = (count: number) => new Uint8Array(count).fill(next++);
  expect(await userLine("ann", "x", random, 4096)).not.toBe(await userLine("ann", "x", random, 4096));
});

test.each([
  ["no name", GOOD.slice(3)],
  ["a control character in the name", `a\u0007${GOOD}`],
  ["no salt", GOOD.replace("c2FsdA==", "")],
  ["a salt that is not base64", GOOD.replace("c2FsdA==", "salt!")],
  ["few iterations", GOOD.replace("4096", "4095")],
  ["many iterations", GOOD.replace("4096", "10000001")],
  ["iterations that are no number", GOOD.replace("4096", "1e5")],
  ["a short key", GOOD.replace(KEY, "c2hvcnQ=")],
  ["a field too many", `${GOOD}:x`],
  ["mosquitto's format", "ann:$7$101$salt$hash"],
])("a line with %s is refused", (_what, line) => {
  expect(parseUserLine(line)).toBeInstanceOf(Problem);
  expect(parseUserLine(GOOD)).not.toBeInstanceOf(Problem);
});

test("a file that cannot be used is told in one sentence with the line", () => {
  const failure = (path: string): string => {
    try {
      new ScramUsers(path, SILENT);
    } catch (error) {
      expect((error as SkeinError).code).toBe("ERR_SKEIN_CONFIG");
      return (error as SkeinError).message;
    }
    throw new Error("it was accepted");
  };
  expect(failure("/nowhere/users")).toBe("Cannot use the users in /nowhere/users: there is no such file.");
  const twice = fileWith(GOOD, "", GOOD);
  expect(failure(twice)).toBe(`Cannot use the users in ${twice}: line 3: ann was there before.`);
  const wrong = fileWith("what is this");
  expect(failure(wrong)).toBe(
    `Cannot use the users in ${wrong}: line 1: write lines with: skein scram-user NAME.`,
  );
});

test("reading again takes what changed; a broken file leaves the users before", async () => {
  const path = fileWith(await userLine("ann", "pencil", salt, 4096));
  const users = new ScramUsers(path, SILENT);
  writeFileSync(path, await userLine("bob", "brush", salt, 4096));
  users.reload();
  expect([isLetIn(users, "ann", "pencil"), isLetIn(users, "bob", "brush")]).toEqual([false, true]);
  writeFileSync(path, "broken");
  users.reload();
  expect(isLetIn(users, "bob", "brush")).toBe(true);
});
