import { expect, test } from "vitest";
import type { Connection } from "../../src/address/connections.ts";
import { Tickler } from "../../src/address/tickler.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

/** One process after another is started for a batch, and each takes so long. */
const START_MS = 40;

test("a round that takes longer than the time to the next is completed first, so the last in the list do not wait for it", () => {
  const clock = new VirtualClock();
  const ports: number[] = [];
  const finished: number[] = [];
  let shells = 0;
  const tickler = new Tickler({
    clock,
    tickle: (batch, done) => {
      shells++;
      ports.push(...batch.map(({ port }) => port));
      clock.after(START_MS * batch.length, () => done(undefined));
    },
    finished: (sent) => finished.push(sent),
  });
  const connections: Connection[] = Array.from({ length: 100 }, (_, port) => {
    return { ip: Uint8Array.of(10, 0, 0, 1), port, serverPort: 1883 };
  });
  tickler.begin(connections);
  clock.advance(1000);
  tickler.begin(connections);
  clock.advance(60_000);
  expect(shells).toBeLessThanOrEqual(14);
  const order = Array.from({ length: 100 }, (_, port) => port);
  expect(ports).toEqual([...order, ...order]);
  expect(finished).toEqual([200]);
});
