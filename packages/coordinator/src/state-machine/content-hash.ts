/** A hash of what a message says, but for its lifetime: of one that has waited (proposals/pending-command.ts) only what is left of it is told. */

import { type ApplicationMessage, ByteWriter, encodeMessage } from "@skein/kernel";
import { itemHash } from "./set-hash.ts";

const out = new ByteWriter(1024);

/** A whole number in [0, 2^48); equal for equal topic, payload, QoS, RETAIN and other properties. About 1 us for 64 bytes, 3 us for 1 KiB. */
export function contentHash(message: ApplicationMessage): number {
  encodeMessage(
    message.properties?.messageExpirySeconds === undefined ? message : everlasting(message),
    out.reset(),
  );
  return itemHash(out.finish());
}

function everlasting(message: ApplicationMessage): ApplicationMessage {
  const { messageExpirySeconds: _, ...properties } = message.properties ?? {};
  return { ...message, properties };
}
