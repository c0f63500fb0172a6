/** What a message that is kept takes of memory, as far as its publisher decides about it. */

import type { ApplicationMessage, MessageProperties } from "./message.ts";

/** A pair of texts takes this much besides its letters: five bytes of a packet must not become a hundred that nobody counts. */
const USER_PROPERTY_BYTES = 100;

/** Bytes of payload and of everything that comes with it; a text counts one for each UTF-16 unit. */
export function messageSize({ topic, payload, properties }: ApplicationMessage): number {
  const bytes = payload.length + topic.length;
  return properties === undefined ? bytes : bytes + propertiesSize(properties);
}

function propertiesSize(properties: MessageProperties): number {
  const { contentType = "", responseTopic = "", correlationData, userProperties = [] } = properties;
  let bytes = contentType.length + responseTopic.length + (correlationData?.length ?? 0);
  for (const [name, value] of userProperties) bytes += USER_PROPERTY_BYTES + name.length + value.length;
  return bytes;
}
