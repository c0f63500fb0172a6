/** A hash of what a message says, but for its lifetime: of one that has waited (proposals/pending-command.ts) only what is left of it is told. */

import { type ApplicationMessage, ByteWriter, encodeMessage } from "@skein/kernel";
import { itemHash } from "./set-hash.ts";

const out = new ByteWriter(1024);

/** Unsigned 32 bits; equal for equal topic, payload, QoS, RETAIN and other properties. */
export function contentHash(message: ApplicationMessage): number {
  const { messageExpirySeconds: _, ...properties } = message.properties ?? {};
  encodeMessage({ ...message, properties }, out.reset());
  return itemHash(out.finish());
}
