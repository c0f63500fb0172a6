/**
 * Commands that a leader appends on its own: about clusters as a whole, not about what a client wrote.
 *
 * `format u8 = 3 | kind u8 | body` (1, 2 and 4 are commands.ts). They are in no proposer's sequence: each is idempotent by what it names (clusters.ts).
 * Kinds: 1 TICK, 2 DISSOLVE, 3 RESUME, 4 MERGE, 5 MERGED, 6 MERGE_ABORT, 7 FORK, 8 NODE_DOWN, 9 VERSION. Numbers are never reused.
 *
 * Source: reference design, section 1.4.
 */

import {
  ByteReader,
  ByteWriter,
  type ClusterId,
  type Incarnation,
  type NodeId,
  SkeinError,
} from "@skein/kernel";
import type { Stamp } from "../hybrid-clock.ts";
import { readClusterId, readNodeId, writeNodeId } from "../wire-ids.ts";

export type ClusterCommand =
  /** A minute of the cluster's life has passed, or its leader's clock says that it is later than the state knows. */
  | { readonly kind: "tick"; readonly stamp: Stamp; readonly ageMinutes: number }
  /** In the loser's log. Its own index becomes the cut. */
  | { readonly kind: "dissolve"; readonly winner: ClusterId; readonly chunkBytes: number }
  /** In the loser's log: the winner has aborted the merge of `cut`. */
  | { readonly kind: "resume"; readonly cut: number }
  /** In the winner's log: a piece of the loser's state, taken at `stamp`. `shift`: see MergeRow; of the first chunk only. */
  | {
      readonly kind: "merge";
      readonly winner: ClusterId;
      readonly loser: ClusterId;
      readonly cut: number;
      readonly chunk: number;
      readonly isLast: boolean;
      readonly stamp: Stamp;
      readonly shift: number;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: "merged"; readonly loser: ClusterId; readonly cut: number }
  | { readonly kind: "mergeAbort"; readonly loser: ClusterId; readonly cut: number }
  /** The first entry of a cluster that was forked by hand off `parent`, behind entry `index` of its log. */
  | { readonly kind: "fork"; readonly parent: ClusterId; readonly index: number }
  /** A process has not been heard of for so long that its clients are taken for gone. `by`: who says so. */
  | {
      readonly kind: "nodeDown";
      readonly node: NodeId;
      readonly incarnation: Incarnation;
      readonly by: NodeId;
    }
  /** Every member knows this version of the log: from here on it is in force (log-version.ts). */
  | { readonly kind: "version"; readonly version: number };

const CLUSTER_COMMAND_FORMAT = 3;

const TICK = 1;
const DISSOLVE = 2;
const RESUME = 3;
const MERGE = 4;
const MERGED = 5;
const MERGE_ABORT = 6;
const FORK = 7;
const NODE_DOWN = 8;
const VERSION = 9;

/** Every command is put together here; `finish` copies it out. */
const out = new ByteWriter(1024);

export function isClusterCommand(bytes: Uint8Array): boolean {
  return bytes[0] === CLUSTER_COMMAND_FORMAT;
}

export function encodeClusterCommand(command: ClusterCommand): Uint8Array {
  out.reset().u8(CLUSTER_COMMAND_FORMAT);
  switch (command.kind) {
    case "tick":
      out.u8(TICK).varint(command.stamp).varint(command.ageMinutes);
      break;
    case "dissolve":
      out.u8(DISSOLVE).text(command.winner).varint(command.chunkBytes);
      break;
    case "resume":
      out.u8(RESUME).varint(command.cut);
      break;
    case "merge":
      out.u8(MERGE).text(command.winner).text(command.loser).varint(command.cut).varint(command.chunk);
      out
        .u8(command.isLast ? 1 : 0)
        .varint(command.stamp)
        .u8(command.shift < 0 ? 1 : 0);
      out.varint(Math.abs(command.shift)).raw(command.bytes);
      break;
    case "merged":
      out.u8(MERGED).text(command.loser).varint(command.cut);
      break;
    case "mergeAbort":
      out.u8(MERGE_ABORT).text(command.loser).varint(command.cut);
      break;
    case "fork":
      out.u8(FORK).text(command.parent).varint(command.index);
      break;
    case "nodeDown":
      writeNodeId(command.node, out.u8(NODE_DOWN));
      writeNodeId(command.by, out.varint(command.incarnation));
      break;
    case "version":
      out.u8(VERSION).varint(command.version);
      break;
  }
  return out.finish();
}

/** A chunk is a view of `bytes` (no copy). @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function decodeClusterCommand(bytes: Uint8Array): ClusterCommand {
  const input = new ByteReader(bytes);
  const format = input.u8();
  if (format !== CLUSTER_COMMAND_FORMAT) throw malformed(`format ${format}`);
  const command = readCommand(input.u8(), input);
  input.end();
  return command;
}

function readCommand(kind: number, input: ByteReader): ClusterCommand {
  switch (kind) {
    case TICK:
      return { kind: "tick", stamp: input.varint(), ageMinutes: input.varint() };
    case DISSOLVE: {
      const command = { kind: "dissolve", winner: readClusterId(input), chunkBytes: input.varint() } as const;
      if (command.chunkBytes === 0) throw malformed("chunks of no bytes");
      return command;
    }
    case RESUME:
      return { kind: "resume", cut: input.varint() };
    case MERGE: {
      const [winner, loser] = [readClusterId(input), readClusterId(input)];
      const [cut, chunk, isLast, stamp] = [input.varint(), input.varint(), input.u8() === 1, input.varint()];
      const sign = input.u8() === 1 ? -1 : 1;
      const shift = sign * input.varint();
      const bytes = input.raw(input.remaining);
      return {
        kind: "merge",
        winner,
        loser,
        cut,
        chunk,
        isLast,
        stamp,
        shift: shift === 0 ? 0 : shift,
        bytes,
      };
    }
    case MERGED:
      return { kind: "merged", loser: readClusterId(input), cut: input.varint() };
    case MERGE_ABORT:
      return { kind: "mergeAbort", loser: readClusterId(input), cut: input.varint() };
    case NODE_DOWN:
      return {
        kind: "nodeDown",
        node: readNodeId(input),
        incarnation: input.varint() as Incarnation,
        by: readNodeId(input),
      };
    case VERSION:
      return { kind: "version", version: input.varint() };
    case FORK:
      return { kind: "fork", parent: readClusterId(input), index: input.varint() };
    default:
      throw malformed(`kind ${kind}`);
  }
}

function malformed(what: string): SkeinError {
  return new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode cluster command: ${what}`);
}
