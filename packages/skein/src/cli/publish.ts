/** `skein pub`: publishes one message and waits until the broker has taken it. */

import { isValidTopicName, SkeinError } from "@skein/kernel";
import { EXIT_OK } from "./exit-codes.ts";
import { type ConnectionOptions, connectClient } from "./mqtt-client.ts";
import { wholeNumber } from "./whole-number.ts";

export interface PublishOptions extends ConnectionOptions {
  readonly topic: string;
  readonly message?: string;
  /** Send an empty message: with `retain` it deletes the retained one. */
  readonly nullMessage?: boolean;
  readonly retain?: boolean;
}

export async function publish(options: PublishOptions): Promise<number> {
  const qos = wholeNumber("-q", options.qos, 0, 2) as 0 | 1 | 2;
  if (!isValidTopicName(options.topic))
    throw new SkeinError(
      "ERR_SKEIN_CONFIG",
      `Cannot use -t "${options.topic}": a topic to publish to has no + and no #.`,
    );
  if (options.message === undefined && options.nullMessage !== true)
    throw new SkeinError(
      "ERR_SKEIN_CONFIG",
      "Cannot publish without a message: give one with -m, or -n for an empty one.",
    );
  const client = await connectClient(options, { clean: true, reconnectPeriod: 0 });
  try {
    await client.publishAsync(options.topic, options.message ?? "", { qos, retain: options.retain === true });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SkeinError("ERR_SKEIN_CONNECT", `The broker did not take the message: ${reason}.`, {
      cause: error,
    });
  } finally {
    await client.endAsync();
  }
  return EXIT_OK;
}
