/**
 * The names of the nodes of the cluster and when each was seen last, so that one that is away can be called by its name, and one
 * that has another name now can be told from a stranger.
 *
 * Names come with the member list, which a node that has just started does not have for those who stay away. So they are kept
 * in a file, written when a name is new. When a node was seen, or was renamed, counts from this node's start.
 */

import {
  type Clock,
  type ClusterId,
  type Disk,
  decodeUtf8,
  encodeUtf8Into,
  isNodeId,
  type Log,
  type MonotonicMs,
  type NodeId,
  utf8Length,
} from "@skein/kernel";
import type { PeerView } from "../options.ts";

const FILE = "names.json";
/** Names kept: three times the largest cluster, for nodes that were replaced. The ones learnt first go first. */
const NAMES_MAX = 96;

export interface KnownNodesPorts {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly log: Log;
}

export class KnownNodes {
  readonly #ports: KnownNodesPorts;
  readonly #names: Map<NodeId, string>;
  readonly #renamed = new Map<NodeId, { readonly from: string; readonly at: MonotonicMs }>();
  readonly #lostAt = new Map<NodeId, MonotonicMs>();
  #linked: ReadonlySet<NodeId> = new Set();
  #isWriting = false;
  #isDirty = false;

  constructor(ports: KnownNodesPorts) {
    this.#ports = ports;
    this.#names = load(ports);
  }

  /** The name it had last; undefined: never heard. */
  nameOf(node: NodeId): string | undefined {
    return this.#names.get(node);
  }

  /** The name it had before, and when this node heard that it has another; undefined: it has kept its name. */
  renamed(node: NodeId): { readonly from: string; readonly at: MonotonicMs } | undefined {
    return this.#renamed.get(node);
  }

  isLinked(node: NodeId): boolean {
    return this.#linked.has(node);
  }

  /** When its link was lost last; undefined: it had none since this node started. */
  lostAt(node: NodeId): MonotonicMs | undefined {
    return this.#lostAt.get(node);
  }

  /** The member list, this node in it, changed. Only members of `cluster` are remembered. */
  peersChanged(peers: readonly PeerView[], cluster: ClusterId | undefined): void {
    const now = this.#ports.clock.monotonicMs();
    const linked = new Set<NodeId>();
    for (const { id, name, isLinked, cluster: theirs } of peers) {
      if (isLinked) linked.add(id);
      if (cluster === undefined || theirs !== cluster || this.#names.get(id) === name) continue;
      const from = this.#names.get(id);
      if (from !== undefined) this.#renamed.set(id, { from, at: now });
      this.#names.set(id, name);
      this.#isDirty = true;
    }
    for (const id of this.#linked) if (!linked.has(id)) this.#lostAt.set(id, now);
    this.#linked = linked;
    if (this.#isDirty && !this.#isWriting) this.#write();
  }

  #write(): void {
    const { disk, log } = this.#ports;
    for (const id of [...this.#names.keys()].slice(0, Math.max(0, this.#names.size - NAMES_MAX)))
      this.#names.delete(id);
    const text = `${JSON.stringify(Object.fromEntries(this.#names), undefined, 2)}\n`;
    const bytes = new Uint8Array(utf8Length(text));
    encodeUtf8Into(text, bytes, 0);
    this.#isDirty = false;
    this.#isWriting = true;
    disk.replace(FILE, bytes, (error) => {
      this.#isWriting = false;
      if (error !== undefined) log.warn({ file: FILE, reason: error.message }, "names could not be written");
      else if (this.#isDirty) this.#write();
    });
  }
}

/** Empty where there is no such file, or none that can be understood: only names are lost (P12). */
function load({ disk, log }: KnownNodesPorts): Map<NodeId, string> {
  const names = new Map<NodeId, string>();
  try {
    const bytes = disk.read(FILE);
    if (bytes === undefined) return names;
    const content: unknown = JSON.parse(decodeUtf8(bytes, 0, bytes.length));
    for (const [id, name] of Object.entries(content as object).slice(0, NAMES_MAX))
      if (isNodeId(id) && typeof name === "string") names.set(id, name);
  } catch (error) {
    log.warn({ file: FILE, reason: String(error) }, "the list of names is unreadable and ignored");
  }
  return names;
}
