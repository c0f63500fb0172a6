/** `skein sub`: prints messages as they come, until it has enough of them, time is up or Ctrl-C. */

import { isValidTopicFilter, parseSharedFilter, SkeinError } from "@skein/kernel";
import type { IPublishPacket, MqttClient } from "mqtt";
import { stopSignal } from "../shutdown.ts";
import { EXIT_FAILURE, EXIT_OK } from "./exit-codes.ts";
import { type ConnectionOptions, connectClient } from "./mqtt-client.ts";
import { printable } from "./printable.ts";
import { wholeNumber } from "./whole-number.ts";

export interface SubscribeOptions extends ConnectionOptions {
  readonly topic: readonly string[];
  /** Stop after this many messages. */
  readonly count?: string;
  /** Stop after this many seconds. */
  readonly timeout?: string;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

const COUNT_MAX = 2 ** 31;
const TIMEOUT_MAX_SECONDS = 86_400 * 24;

export async function subscribe(options: SubscribeOptions): Promise<number> {
  const qos = wholeNumber("-q", options.qos, 0, 2) as 0 | 1 | 2;
  const count = options.count === undefined ? undefined : wholeNumber("-C", options.count, 1, COUNT_MAX);
  const seconds =
    options.timeout === undefined ? undefined : wholeNumber("-W", options.timeout, 1, TIMEOUT_MAX_SECONDS);
  for (const filter of options.topic) checkFilter(filter);
  // Without an own client id nothing is kept for this client, as with mosquitto_sub.
  const client = await connectClient(options, { clean: true, reconnectPeriod: 1000 });
  const received = printMessages(client, options, count);
  const granted = await client.subscribeAsync([...options.topic], { qos });
  const refused = granted.find((grant) => grant.qos >= 0x80);
  if (refused !== undefined) {
    await client.endAsync(true);
    throw new SkeinError("ERR_SKEIN_CONNECT", `The broker refused the subscription to ${refused.topic}.`);
  }
  const timeUp = new AbortController();
  const outcome = await Promise.race([
    received.then(() => EXIT_OK),
    stopSignal().then(() => EXIT_OK),
    timeout(seconds, timeUp.signal).then(() => EXIT_FAILURE),
  ]);
  timeUp.abort();
  await client.endAsync(outcome !== EXIT_OK);
  if (outcome === EXIT_FAILURE) process.stderr.write(`skein: Time is up after ${seconds} s.\n`);
  return outcome;
}

function checkFilter(filter: string): void {
  const shared = parseSharedFilter(filter);
  if (shared === "invalid" || (shared === undefined && !isValidTopicFilter(filter))) {
    throw new SkeinError(
      "ERR_SKEIN_CONFIG",
      `Cannot use -t "${filter}": + stands for one whole level, # for all remaining ones at the end, such as home/+/temperature or home/#.`,
    );
  }
}

/** Resolves after `count` messages; never without a count. */
function printMessages(
  client: MqttClient,
  options: SubscribeOptions,
  count: number | undefined,
): Promise<void> {
  return new Promise((resolve) => {
    let seen = 0;
    client.on("message", (topic, payload, packet) => {
      if (count !== undefined && seen >= count) return;
      seen++;
      process.stdout.write(format(topic, payload, packet, options));
      if (seen === count) resolve();
    });
  });
}

function format(
  topic: string,
  payload: Buffer,
  packet: IPublishPacket,
  options: SubscribeOptions,
): Buffer | string {
  if (options.json === true) {
    const { qos, retain } = packet;
    return `${JSON.stringify({ topic, qos, retain, payload: payload.toString("utf8") })}\n`;
  }
  const prefix = options.verbose === true ? `${topic} ` : "";
  if (process.stdout.isTTY) return `${printable(prefix + payload.toString("utf8"))}\n`;
  // Payloads may be binary: written as they are.
  return Buffer.concat([Buffer.from(prefix), payload, Buffer.from("\n")]);
}

function timeout(seconds: number | undefined, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (seconds === undefined) return;
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => clearTimeout(timer));
  });
}
