/**
 * Makes sure that nothing reaches past the ports while a simulation runs.
 *
 * Ambient time, randomness, timers, files and sockets throw for as long as `underTripwire` is under way, so shipped code that
 * uses them fails the run instead of making it irreproducible. Lint forbids most of it in cores already; this also sees what
 * comes in through libraries.
 *
 * Limits: code that took a reference to a function before (`const now = Date.now` at module load) is not seen, nor is
 * `new Date(value)` with a value (harmless), nor what depends on the locale, memory addresses or garbage collection.
 */

import crypto from "node:crypto";
import dgram from "node:dgram";
import dns from "node:dns";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import process from "node:process";

const AMBIENT: readonly (readonly [owner: object, name: string, members: readonly string[]])[] = [
  [Math, "Math", ["random"]],
  [performance, "performance", ["now"]],
  [globalThis, "globalThis", ["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "fetch"]],
  [process, "process", ["nextTick", "hrtime", "uptime"]],
  [crypto, "crypto", ["randomBytes", "randomUUID", "randomInt"]],
  [
    fs,
    "fs",
    [
      "open",
      "openSync",
      "readFile",
      "readFileSync",
      "writeFile",
      "writeFileSync",
      "existsSync",
      "readdirSync",
    ],
  ],
  [net, "net", ["connect", "createConnection", "createServer"]],
  [dgram, "dgram", ["createSocket"]],
  [dns, "dns", ["lookup", "resolve"]],
];

/** Runs `work` (synchronous) with everything ambient forbidden. @throws what `work` throws, or the tripwire's own error */
export function underTripwire<Result>(work: () => Result): Result {
  const restore: (() => void)[] = [];
  for (const [owner, ownerName, members] of AMBIENT) {
    for (const member of members) {
      const descriptor = Object.getOwnPropertyDescriptor(owner, member);
      const tripped = (): never => {
        throw new Error(`tripwire: ${ownerName}.${member} was called inside a simulation`);
      };
      Object.defineProperty(owner, member, { value: tripped, configurable: true, writable: true });
      restore.push(() => {
        if (descriptor === undefined) Reflect.deleteProperty(owner, member);
        else Object.defineProperty(owner, member, descriptor);
      });
    }
  }
  const RealDate = globalThis.Date;
  globalThis.Date = forbiddenDate(RealDate);
  restore.push(() => {
    globalThis.Date = RealDate;
  });
  syncBuiltinESMExports();
  try {
    return work();
  } finally {
    for (const undo of restore) undo();
    syncBuiltinESMExports();
  }
}

/** The time of day is forbidden, taking a given date apart is not. */
function forbiddenDate(RealDate: DateConstructor): DateConstructor {
  return new Proxy(RealDate, {
    construct(target, args: []) {
      if (args.length === 0) throw new Error("tripwire: new Date() was called inside a simulation");
      return new target(...args);
    },
    apply() {
      throw new Error("tripwire: Date() was called inside a simulation");
    },
    get(target, name, receiver) {
      if (name !== "now") return Reflect.get(target, name, receiver);
      return () => {
        throw new Error("tripwire: Date.now was called inside a simulation");
      };
    },
  });
}
