/** Node ids in binary: the 16 hexadecimal digits of a NodeId are 8 bytes in frames, commands and snapshots. */

import { assert, type ByteReader, type ByteWriter, isNodeId, type NodeId } from "@skein/kernel";

/** Appends the 8 bytes of `node`. */
export function writeNodeId(node: NodeId, out: ByteWriter): void {
  assert(isNodeId(node), `not a node id: ${node}`);
  out.u32(Number.parseInt(node.slice(0, 8), 16)).u32(Number.parseInt(node.slice(8), 16));
}

/** Reads 8 bytes. Any 8 bytes are a node id. @throws {SkeinError} ERR_SKEIN_MALFORMED if there are fewer */
export function readNodeId(input: ByteReader): NodeId {
  return (hex32(input.u32()) + hex32(input.u32())) as NodeId;
}

/** Eight lower-case hexadecimal digits of an unsigned 32-bit number. */
export function hex32(value: number): string {
  return value.toString(16).padStart(8, "0");
}
