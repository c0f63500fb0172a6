/**
 * Ports that nobody uses, and that stay free while a node restarts.
 *
 * Taken below the range that the system hands out for outgoing connections (from 32768 on Linux), or a client's socket
 * could sit on a node's port at the moment it comes back. Test files that run at the same time take them from different parts:
 * what one is about to use looks free to the other.
 */

import { createServer } from "node:net";

/** As many as files run at a time (`maxWorkers` in vitest.config.ts), and two more. */
const PARTS = 8;
const COUNT = 16_000 / PARTS;
/** The number of the worker that runs this file, from 1. */
const { VITEST_POOL_ID = "1" } = process.env;
const FIRST = 10_000 + (Number(VITEST_POOL_ID) % PARTS) * COUNT;

/** Ranges have rows some 6,000 above, which must not lie in the part of another file: these end below 32768. */
const FIRST_RANGE = 26_000;
const RANGES_COUNT = 600;

let next = Math.floor(Math.random() * COUNT);

/** Returns `count` ports that could be bound on all addresses a moment ago. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  for (let tried = 0; ports.length < count; tried++) {
    if (tried > COUNT) throw new Error("no free ports");
    const port = FIRST + (next++ % COUNT);
    if (await canBind(port)) ports.push(port);
  }
  return ports;
}

/** Returns the first of `count` ports in a row, with further rows at the given `offsets`, all free. For one file at a time. */
export async function freePortRange(count: number, offsets: readonly number[]): Promise<number> {
  for (let tried = 0; tried < RANGES_COUNT; tried++) {
    const base = FIRST_RANGE + (next++ % RANGES_COUNT);
    const wanted = [0, ...offsets].flatMap((offset) =>
      Array.from({ length: count }, (_, at) => base + offset + at),
    );
    const free = await Promise.all(wanted.map(canBind));
    if (free.every(Boolean)) return base;
  }
  throw new Error("no free range of ports");
}

function canBind(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "0.0.0.0", () => server.close(() => resolve(true)));
  });
}
