/**
 * How much may be owed to all sessions together: what the node with the least room for it has said.
 *
 * Every node keeps all of it, and every node must judge a message alike, so the limits are part of the replicated state: each member says
 * its own with a command, and its word goes when it is no member any more. Until anybody has said anything a limit holds that suits
 * every machine.
 */

import { type ByteReader, type ByteWriter, type NodeId, SkeinError } from "@skein/kernel";
import { readNodeId, writeNodeId } from "../wire-ids.ts";
import { readList } from "./sessions/session-commands.ts";

/** While no member has said what it has room for. */
export const OWED_BYTES_DEFAULT = 64 * 1024 * 1024;
/** No member is believed more. */
export const OWED_BYTES_MAX = 1024 * 1024 * 1024;

export type StoreLimitRow = readonly [node: NodeId, owedBytesMax: number];

export class StoreLimits {
  #byNode = new Map<NodeId, number>();
  #owedBytesMax = OWED_BYTES_DEFAULT;

  /** Most bytes of all messages that are owed, as they are packed. */
  get owedBytesMax(): number {
    return this.#owedBytesMax;
  }

  /** The member whose word counts; undefined: nobody has said anything. */
  get tightest(): NodeId | undefined {
    return this.rows().find(([, limit]) => limit <= this.#owedBytesMax)?.[0];
  }

  /** What `node` has said; undefined: nothing. */
  of(node: NodeId): number | undefined {
    return this.#byNode.get(node);
  }

  set(node: NodeId, owedBytesMax: number): void {
    this.#byNode.set(node, owedBytesMax);
    this.#changed();
  }

  /** Only these nodes have a replica from now on. */
  keepOnly(members: ReadonlySet<string>): void {
    for (const node of this.#byNode.keys()) if (!members.has(node)) this.#byNode.delete(node);
    this.#changed();
  }

  /** Sorted by node. */
  rows(): readonly StoreLimitRow[] {
    return [...this.#byNode].sort(([a], [b]) => (a < b ? -1 : 1));
  }

  restore(rows: readonly StoreLimitRow[]): void {
    this.#byNode = new Map(rows);
    this.#changed();
  }

  #changed(): void {
    const limits = [...this.#byNode.values()];
    this.#owedBytesMax = limits.length === 0 ? OWED_BYTES_DEFAULT : Math.min(OWED_BYTES_MAX, ...limits);
  }
}

export function writeStoreLimits(rows: readonly StoreLimitRow[], out: ByteWriter): void {
  out.varint(rows.length);
  for (const [node, owedBytesMax] of rows) {
    writeNodeId(node, out);
    out.varint(owedBytesMax);
  }
}

/** @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readStoreLimits(input: ByteReader): readonly StoreLimitRow[] {
  const rows = readList(input, (): StoreLimitRow => [readNodeId(input), input.varint()]);
  for (const [at, [node]] of rows.entries())
    if (at > 0 && (rows[at - 1]?.[0] ?? "") >= node)
      throw new SkeinError("ERR_SKEIN_MALFORMED", "Cannot decode limits: nodes are not in order");
  return rows;
}
