/** Errors of the operating system in words, and as errors that a caller is meant to handle. */

import { SkeinError } from "@skein/kernel";

const WORDS = new Map([
  ["EACCES", "permission denied"],
  ["EPERM", "not permitted"],
  ["ENOENT", "no such file or directory"],
  ["ENOTDIR", "a part of the path is not a directory"],
  ["EEXIST", "a file of that name is in the way"],
  ["EISDIR", "it is a directory"],
  ["ENOSPC", "no space left on the device"],
  ["EDQUOT", "disk quota exceeded"],
  ["EROFS", "the file system is read-only"],
  ["EIO", "input/output error, the medium may be failing"],
  ["EMFILE", "too many open files"],
  ["ECONNREFUSED", "connection refused"],
  ["ECONNRESET", "connection reset"],
  ["EHOSTUNREACH", "host not reachable"],
  ["ENETUNREACH", "network not reachable"],
  ["ENOTFOUND", "name not found"],
  ["ETIMEDOUT", "timed out"],
]);

/** The `code` of a Node error, or undefined. */
export function codeOf(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : undefined;
}

/** The cause in words, with the code for searching: `permission denied (EACCES)`. */
export function causeOf(error: unknown): string {
  const code = codeOf(error);
  const words = code === undefined ? undefined : WORDS.get(code);
  if (words !== undefined) return `${words} (${code})`;
  return error instanceof Error ? error.message : String(error);
}

/** A failed file operation. `what` completes "Cannot ...". */
export function diskError(what: string, error: unknown): SkeinError {
  const code = codeOf(error);
  const isFull = code === "ENOSPC" || code === "EDQUOT";
  return new SkeinError(
    isFull ? "ERR_SKEIN_DISK_FULL" : "ERR_SKEIN_DISK",
    `Cannot ${what}: ${causeOf(error)}`,
    { cause: error },
  );
}

/** A listener that could not be opened. `option` shows how to choose another port, with `port + 1` in it. */
export function listenError(
  error: unknown,
  host: string,
  port: number,
  option: (port: number) => string,
): SkeinError {
  const other = port >= 65_535 ? port - 1 : port + 1;
  const fix = `choose another port with ${option(other)}`;
  switch (codeOf(error)) {
    case "EADDRINUSE":
      return new SkeinError(
        "ERR_SKEIN_PORT_IN_USE",
        `Port ${port} is already in use. Stop the other program, or ${fix}`,
        { cause: error },
      );
    case "EACCES":
      return new SkeinError(
        "ERR_SKEIN_LISTEN",
        `Cannot listen on port ${port}: permission denied. Ports below 1024 need privileges; ${fix.replace(String(other), "1883")}`,
        { cause: error },
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return new SkeinError(
        "ERR_SKEIN_LISTEN",
        `Cannot listen on ${host}: this machine has no such address. Use one of its own, or 0.0.0.0 for all`,
        { cause: error },
      );
    default:
      return new SkeinError("ERR_SKEIN_LISTEN", `Cannot listen on ${host} port ${port}: ${causeOf(error)}`, {
        cause: error,
      });
  }
}
