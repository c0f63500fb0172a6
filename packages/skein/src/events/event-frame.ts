/**
 * Events on their way to another node: `type u8 | JSON`, in the channel of control frames.
 *
 * Ages instead of times, because no two wall clocks agree. JSON, because it is the form of the file too, because events are rare,
 * and because a node of another version skips what it does not know.
 */

import { decodeUtf8, encodeUtf8Into, utf8Length } from "@skein/kernel";
import { type MeshEvent, parseEvent } from "./mesh-event.ts";

/** Types of control frames from 64 on do not belong to the coordinator (coordinator/src/frames.ts). */
export const EVENT_FRAME = 64;
/** Events in one frame: what a node that was away is told. */
export const FRAME_EVENTS_MAX = 20;
const FRAME_BYTES_MAX = 64 * 1024;

export interface ToldEvent {
  /** Time since its start. */
  readonly agoMs: number;
  readonly event: MeshEvent;
}

export function encodeEvents(told: readonly ToldEvent[]): Uint8Array {
  const text = JSON.stringify(told.slice(-FRAME_EVENTS_MAX));
  const bytes = new Uint8Array(1 + utf8Length(text));
  bytes[0] = EVENT_FRAME;
  encodeUtf8Into(text, bytes, 1);
  return bytes;
}

/** What cannot be understood is left out. */
export function decodeEvents(bytes: Uint8Array): readonly ToldEvent[] {
  if (bytes[0] !== EVENT_FRAME || bytes.length > FRAME_BYTES_MAX) return [];
  let content: unknown;
  try {
    content = JSON.parse(decodeUtf8(bytes, 1, bytes.length));
  } catch {
    return []; // Not even JSON: a peer with a fault, which has no say here.
  }
  if (!Array.isArray(content)) return [];
  return content.slice(0, FRAME_EVENTS_MAX).flatMap((item: { agoMs?: unknown; event?: unknown } | null) => {
    const event = parseEvent(item?.event);
    const agoMs = item?.agoMs;
    return event === undefined || typeof agoMs !== "number" || !(agoMs >= 0) ? [] : [{ agoMs, event }];
  });
}
