/**
 * A state that was read from a snapshot and is ready to be taken over: what takes long has been done, in pieces, so that the change from one state
 * to the other takes one short step. Until then the old one is whole, and can be read and applied to.
 */

import { ByteWriter, encodeMessage } from "@skein/kernel";
import type { Pieces } from "../pieces.ts";
import { writeNodeId } from "../wire-ids.ts";
import { type RetainedItem, RetainedState } from "./retained-state.ts";
import { itemHash } from "./set-hash.ts";
import { type DecodeOptions, decodeInPieces, type ReplicatedState } from "./snapshot.ts";
import { ownCopy } from "./take-merge.ts";

/** Belongs to the machine that takes it over. */
export interface DecodedState extends Omit<ReplicatedState, "retained"> {
  readonly retained: RetainedState;
}

/** @throws {SkeinError} as {@link decodeInPieces} */
export function* decodeState(bytes: Uint8Array, options: DecodeOptions): Pieces<DecodedState> {
  const { pieceBytes = Number.POSITIVE_INFINITY } = options;
  const state = yield* decodeInPieces(bytes, options);
  const retained = new RetainedState();
  const measure = new ByteWriter(1024);
  let pieceEnds = pieceBytes;
  for (const item of state.retained) {
    file({ ...item, message: ownCopy(item.message) }, retained, measure);
    if (retained.bytes < pieceEnds) continue;
    pieceEnds = retained.bytes + pieceBytes;
    yield;
  }
  return { ...state, retained };
}

/**
 * Puts `item` among the `retained`. `item.message` must own its bytes: a view would keep a whole snapshot alive for as long as one of its messages
 * lives. False: there is no room. `measure` is for lengths and hashes of encoded messages.
 */
export function file(item: RetainedItem, retained: RetainedState, measure: ByteWriter): boolean {
  encodeMessage(item.message, measure.reset());
  const bytes = measure.length;
  measure.varint(item.stamp).varint(item.index);
  if (item.alone !== undefined) writeNodeId(item.alone, measure);
  if (item.expiresAt !== undefined) measure.varint(item.expiresAt);
  return retained.set(item, bytes, itemHash(measure.finish()));
}
