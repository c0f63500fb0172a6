/** Ids in binary: the 16 hexadecimal digits of a NodeId are 8 bytes in frames, commands and snapshots; a ClusterId is text. */

import {
  assert,
  type ByteReader,
  type ByteWriter,
  type ClusterId,
  isNodeId,
  type NodeId,
  SkeinError,
} from "@skein/kernel";

/** The same few ids stand in every command: a text that was made lately is found by its lowest bits. */
const RECENT_IDS = 64;
const recent: ({ readonly high: number; readonly low: number; readonly text: NodeId } | undefined)[] =
  new Array(RECENT_IDS).fill(undefined);

/** Appends the 8 bytes of `node`. */
export function writeNodeId(node: NodeId, out: ByteWriter): void {
  assert(isNodeId(node), `not a node id: ${node}`);
  out.u32(Number.parseInt(node.slice(0, 8), 16)).u32(Number.parseInt(node.slice(8), 16));
}

/** Reads 8 bytes. Any 8 bytes are a node id. @throws {SkeinError} ERR_SKEIN_MALFORMED if there are fewer */
export function readNodeId(input: ByteReader): NodeId {
  const high = input.u32();
  const low = input.u32();
  const place = low % RECENT_IDS;
  let id = recent[place];
  if (id === undefined || id.high !== high || id.low !== low) {
    id = { high, low, text: (hex32(high) + hex32(low)) as NodeId };
    recent[place] = id;
  }
  return id.text;
}

/** Eight lower-case hexadecimal digits of an unsigned 32-bit number. */
export function hex32(value: number): string {
  return value.toString(16).padStart(8, "0");
}

const CLUSTER_TEXT_MAX = 64;

/** A cluster's id: a text of at most 64 characters. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readClusterId(input: ByteReader): ClusterId {
  const cluster = input.text() as ClusterId;
  if (cluster.length > 0 && cluster.length <= CLUSTER_TEXT_MAX) return cluster;
  throw new SkeinError("ERR_SKEIN_MALFORMED", "Cannot decode a cluster id");
}
