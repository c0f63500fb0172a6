/**
 * Payloads that say what they are: the id that makes each unique in the simulation, then padding.
 *
 * Ids are ASCII without spaces. One that begins with a dash stands for an empty payload, a deletion if it is retained.
 */

const SPACE = 0x20;

export function encodePayload(payloadId: string, paddingBytes: number): Uint8Array {
  if (payloadId.startsWith("-")) return new Uint8Array(0);
  const padding = paddingBytes === 0 ? 0 : paddingBytes + 1;
  const bytes = new Uint8Array(payloadId.length + padding).fill(SPACE);
  for (let i = 0; i < payloadId.length; i++) bytes[i] = payloadId.charCodeAt(i);
  return bytes;
}

/** The id; empty for an empty payload. */
export function decodePayload(payload: Uint8Array): string {
  let payloadId = "";
  for (const byte of payload) {
    if (byte === SPACE) break;
    payloadId += String.fromCharCode(byte);
  }
  return payloadId;
}
