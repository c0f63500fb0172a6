/**
 * Ports that nobody uses, and that stay free while a node restarts.
 *
 * Taken below the range that the system hands out for outgoing connections (from 32768 on Linux), or a client's socket
 * could sit on a node's port at the moment it comes back.
 */

import { createServer } from "node:net";

const FIRST = 20_000;
const COUNT = 12_000;

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

/** Returns the first of `count` ports in a row, with further rows at the given `offsets`, all free. */
export async function freePortRange(count: number, offsets: readonly number[]): Promise<number> {
  for (let tried = 0; tried < COUNT; tried++) {
    const base = FIRST + (next++ % (COUNT / 2));
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
