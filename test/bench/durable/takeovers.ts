/** How long a client that comes back on another node waits for the first message that was kept for it. */

import { performance } from "node:perf_hooks";
import { type Endpoint, publishBlock, RawClient } from "../mqtt/raw-client.ts";

const QOS = 1;
const PAYLOAD_BYTES = 100;

/** @returns milliseconds from dialling to the first message, of `count` takeovers with `waiting` messages each */
export async function measureTakeovers(
  nodes: readonly Endpoint[],
  count: number,
  waiting: number,
  run: string,
): Promise<readonly number[]> {
  const topic = `takeover/${run}`;
  const block = publishBlock([topic], QOS, PAYLOAD_BYTES, 0);
  let answered: () => void = () => undefined;
  let unanswered = 0;
  const publisher = await RawClient.connect(nodes[0] as Endpoint, `${run}-publisher`, 0, {
    acknowledged: () => {
      unanswered -= 1;
      if (unanswered === 0) answered();
    },
  });
  const tookMs: number[] = [];
  for (let at = 0; at <= count; at += 1) {
    const startAt = performance.now();
    let received = 0;
    let complete: () => void = () => undefined;
    const isComplete = new Promise<void>((resolve) => {
      complete = resolve;
    });
    const events = {
      message: () => {
        received += 1;
        if (received === 1) tookMs.push(performance.now() - startAt);
        if (received === waiting) complete();
      },
    };
    const client = await RawClient.connect(
      nodes[at % nodes.length] as Endpoint,
      `${run}-client`,
      0,
      events,
      true,
    );
    if (at === 0) await client.subscribe([topic], QOS);
    else await isComplete;
    client.close();
    unanswered = waiting;
    const areAnswered = new Promise<void>((resolve) => {
      answered = resolve;
    });
    for (let message = 0; message < waiting; message += 1) {
      const frame = Buffer.from(block.bytes);
      frame.writeUInt16BE(1 + ((at * waiting + message) % 0xffff), block.idAt);
      publisher.socket.write(frame);
    }
    await areAnswered;
  }
  publisher.close();
  return tookMs;
}
