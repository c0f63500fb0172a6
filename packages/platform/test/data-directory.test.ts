import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DiskDone, SkeinError } from "@skein/kernel";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type DataDirectory, openDataDirectory } from "../src/files/data-directory.ts";
import { systemBootId } from "../src/machine/boot-id.ts";

let root = "";
let disk: DataDirectory;

beforeEach(() => {
  root = join(mkdtempSync(join(tmpdir(), "skein-platform-")), "data");
  disk = openDataDirectory(root);
});

afterEach(() => {
  disk.close();
  rmSync(join(root, ".."), { recursive: true, force: true });
});

/** Waits for a call that reports through DiskDone. */
function completed(start: (done: DiskDone) => void): Promise<SkeinError | undefined> {
  return new Promise((resolve) => start(resolve));
}

function errorOf(action: () => unknown): SkeinError {
  try {
    action();
  } catch (error) {
    return error as SkeinError;
  }
  throw new Error("no error was thrown");
}

test("read() gives a plain byte array, whose slice is a copy", () => {
  disk.replaceNow("small", Uint8Array.of(1, 2, 3));
  expect(Object.getPrototypeOf(disk.read("small"))).toBe(Uint8Array.prototype);
});

test("writes happen in order, can be read at once, and are done in the order of the calls", async () => {
  const file = disk.open("raft/0000000001.log");
  const order: number[] = [];
  await new Promise<void>((resolve) => {
    for (let i = 0; i < 50; i++) {
      file.write(i * 1000, new Uint8Array(1000).fill(i), (error) => {
        expect(error).toBeUndefined();
        order.push(i);
        if (i === 49) resolve();
      });
    }
  });
  expect(order).toEqual(Array.from({ length: 50 }, (_, i) => i));
  const bytes = disk.read("raft/0000000001.log");
  expect(bytes).toHaveLength(50_000);
  expect(bytes?.every((byte, at) => byte === Math.floor(at / 1000))).toBe(true);
  expect(await completed((done) => file.sync(done))).toBeUndefined();
  file.close();
});

test("a file that is opened again is as it was, and is written over where it is told", async () => {
  for (const [at, bytes] of [
    [0, [1, 2, 3, 4]],
    [4, [5]],
    [1, [9, 9]],
  ] as const) {
    const file = disk.open("a");
    expect(await completed((done) => file.write(at, Uint8Array.from(bytes), done))).toBeUndefined();
    file.close();
  }
  expect(disk.read("a")).toEqual(Uint8Array.from([1, 9, 9, 4, 5]));
});

test("move gives a file its new name, and reports when there is none", async () => {
  disk.replaceNow("d/a", new Uint8Array([1]));
  expect(await completed((done) => disk.move("d/a", "d/b", done))).toBeUndefined();
  expect(disk.list("d")).toEqual(["b"]);
  expect(await completed((done) => disk.move("d/a", "d/c", done))).toMatchObject({ code: "ERR_SKEIN_DISK" });
});

// A file system of our own that is full needs privileges; /dev/full is one file of that kind.
test.runIf(existsSync("/dev/full"))("no room is an error of its own kind, because it may pass", async () => {
  symlinkSync("/dev/full", join(root, "full"));
  const file = disk.open("full");
  expect(await completed((done) => file.write(0, new Uint8Array(1), done))).toMatchObject({
    code: "ERR_SKEIN_DISK_FULL",
    message: 'Cannot write "full": no space left on the device (ENOSPC)',
  });
  file.close();
});

test("the file system says how much room there is, or that it does not know", async () => {
  const free = (): Promise<number | undefined> => new Promise((resolve) => disk.freeBytes(resolve));
  expect(await free()).toBeGreaterThan(0);
  rmSync(root, { recursive: true });
  expect(await free()).toBeUndefined();
});

test.runIf(process.platform === "linux")("the boot id is the same as long as the machine runs", () => {
  expect(systemBootId()).toMatch(/^[0-9a-f-]{36}$/);
  expect(systemBootId()).toBe(systemBootId());
});

test("close waits for what is under way", async () => {
  const file = disk.open("a");
  const appended = completed((done) => file.write(0, new Uint8Array(100_000), done));
  const synced = completed((done) => file.sync(done));
  file.close();
  expect(await appended).toBeUndefined();
  expect(await synced).toBeUndefined();
  expect(disk.read("a")).toHaveLength(100_000);
  expect(() => file.write(0, new Uint8Array(1), () => {})).toThrow("after close");
});

test("replace puts a whole file in place; of several at once the last one stays; all are done in order", async () => {
  const order: number[] = [];
  await Promise.all(
    [1, 2, 3].map((byte) =>
      completed((done) =>
        disk.replace("folder/file", new Uint8Array(10).fill(byte), (error) => {
          order.push(byte);
          done(error);
        }),
      ),
    ),
  );
  expect(order).toEqual([1, 2, 3]);
  expect(disk.read("folder/file")).toEqual(new Uint8Array(10).fill(3));
  expect(disk.list("folder")).toEqual(["file"]);
  disk.replaceNow("folder/file", new Uint8Array([9]));
  expect(disk.read("folder/file")).toEqual(Uint8Array.from([9]));
});

test("a replacement that fails reports and leaves the old file", async () => {
  disk.replaceNow("file", new Uint8Array([1]));
  mkdirSync(join(root, "file.tmp"));
  const error = await completed((done) => disk.replace("file", new Uint8Array([2]), done));
  expect(error).toMatchObject({
    code: "ERR_SKEIN_DISK",
    message: 'Cannot replace "file": it is a directory (EISDIR)',
  });
  expect(disk.read("file")).toEqual(Uint8Array.from([1]));
});

test("list, read, rename, truncate and remove; what is not there is empty, undefined or ignored", () => {
  expect(disk.list("none")).toEqual([]);
  expect(disk.read("none")).toBeUndefined();
  disk.remove("none");
  disk.replaceNow("d/b", new Uint8Array([1, 2, 3]));
  disk.replaceNow("d/a", new Uint8Array([4]));
  mkdirSync(join(root, "d/folder"));
  writeFileSync(join(root, "d/half.tmp"), "left by a crash");
  expect(disk.list("d")).toEqual(["a", "b"]);
  disk.rename("d/b", "e/c");
  expect(disk.read("e/c")).toEqual(Uint8Array.from([1, 2, 3]));
  disk.remove("e/c");
  expect(disk.list("e")).toEqual([]);
  expect(() => disk.rename("none", "x")).toThrow(
    /Cannot rename "none": no such file or directory \(ENOENT\)/,
  );
  expect(() => disk.read("d/folder")).toThrow(/Cannot read "d\/folder"/);
  expect(() => disk.list("d/a")).toThrow(/Cannot list "d\/a"/);
  expect(() => disk.read("../secret")).toThrow("outside the data directory");
});

test("the directory and its files are the owner's only: the mesh key is among them", () => {
  disk.replaceNow("mesh/key", new Uint8Array(1));
  expect(statSync(root).mode & 0o77).toBe(0);
  expect(statSync(join(root, "mesh")).mode & 0o77).toBe(0);
  expect(statSync(join(root, "mesh/key")).mode & 0o77).toBe(0);
});

test("a directory that cannot be used: one sentence with the cause and the fix", () => {
  const file = join(root, "file");
  writeFileSync(file, "");
  for (const path of [file, join(file, "below")]) {
    const error = errorOf(() => openDataDirectory(path));
    expect(error.code).toBe("ERR_SKEIN_DATA_DIR");
    expect(error.message).toMatch(/^Cannot use data directory .*: .* \(E[A-Z]+\)\. Make it .* --data-dir$/);
  }
});

test("a directory in use is refused, naming the process; after close it is free", () => {
  const error = errorOf(() => openDataDirectory(root));
  expect(error).toMatchObject({
    code: "ERR_SKEIN_DATA_DIR",
    message: `Data directory ${root} is in use by another node (process ${process.pid}). Stop that one, or choose another directory with --data-dir`,
  });
  disk.close();
  expect(existsSync(join(root, "lock"))).toBe(false);
  disk = openDataDirectory(root);
});

test("P12: the lock of a process that was killed is stale and is taken over", async () => {
  disk.close();
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  await new Promise((resolve) => child.once("spawn", resolve));
  writeFileSync(join(root, "lock"), `${child.pid} unknown\n`);
  expect(errorOf(() => openDataDirectory(root)).message).toContain(`process ${child.pid}`);
  const exited = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await exited;
  disk = openDataDirectory(root);
  expect(readFileSync(join(root, "lock"), "latin1")).toMatch(new RegExp(`^${process.pid} `));
});

test.runIf(process.platform === "linux")(
  "P12: a lock whose process id now belongs to another process (container restarts: always 1) is stale",
  () => {
    disk.close();
    writeFileSync(join(root, "lock"), `${process.pid} 1\n`);
    disk = openDataDirectory(root);
    expect(readFileSync(join(root, "lock"), "latin1")).not.toBe(`${process.pid} 1\n`);
  },
);

test.each(["", "garbage\n", "-1 5\n", "99999999999999999999 1\n"])(
  "P12: a torn lock file (%j) is stale",
  (content) => {
    disk.close();
    writeFileSync(join(root, "lock"), content);
    disk = openDataDirectory(root);
    expect(errorOf(() => openDataDirectory(root)).code).toBe("ERR_SKEIN_DATA_DIR");
  },
);
