/**
 * What a cluster has agreed on about itself and other clusters: whether it is dissolved, whom it takes in and has taken in,
 * with whom it may merge, how old it is.
 *
 * One merge is named by the loser's cluster and its cut, the log index of its DISSOLVE, so an attempt that was
 * aborted is never mixed up with the next. The winner decides: once its row for a merge says `merged` or `aborted` that never
 * changes for this cut (two-phase commit, the winner is the coordinator). The rules are here and not in who proposes, so that any
 * number of leaders may propose the same things in any order:
 *
 * - A cluster does not dissolve while it takes another one in: that merge would have nobody to decide it.
 * - A dissolved cluster takes nobody in, and whoever asks it is told so for good (`aborted`).
 * - Chunk k is taken once, after chunk k-1; MERGED only after the last one.
 *
 * Bounded: {@link ROWS_MAX} clusters are remembered; those finished longest ago are forgotten. A node of a forgotten cluster
 * that comes back after all is then another cluster in sight, and merges once more.
 *
 * Source: reference design, section 1.4.
 */

import type { ClusterId } from "@skein/kernel";

/** Clusters that are remembered as merged or aborted. */
export const ROWS_MAX = 64;
export const APPROVED_MAX = 16;
/** Full minutes are counted up to this: what a cluster is newborn for (merge-rank.ts). */
export const AGE_MINUTES_MAX = 10;

/** This cluster gives itself up in favour of `winner`. */
export interface Dissolution {
  readonly winner: ClusterId;
  /** Log index of the DISSOLVE: the last one at which this cluster's clients wrote anything is before it. */
  readonly cut: number;
  /** How the state at the cut is cut into pieces: all nodes must do it alike. */
  readonly chunkBytes: number;
}

export type MergePhase = "merging" | "merged" | "aborted";

/** How far this cluster is with taking in another one. */
export interface MergeRow {
  readonly cluster: ClusterId;
  readonly cut: number;
  readonly phase: MergePhase;
  /** Chunks taken so far. */
  readonly chunks: number;
  /** Chunk `chunks - 1` was the last one. */
  readonly isComplete: boolean;
  /** Added to the stamps of the other cluster. May be negative. */
  readonly shift: number;
  /** It was forked off this cluster behind this log index; 0: it was not. */
  readonly forkedAt: number;
  /** Values and deletions taken from it. */
  readonly topics: number;
  /** Log index of the last change. */
  readonly index: number;
}

/** Where this cluster comes from, if it was forked off another one by hand. */
export interface Parent {
  readonly cluster: ClusterId;
  /** Last log index that both have in common. */
  readonly index: number;
}

/** What of this is replicated; sorted, so that equal states are equal. */
export interface ClustersState {
  readonly dissolution: Dissolution | undefined;
  readonly parent: Parent | undefined;
  readonly ageMinutes: number;
  readonly approved: readonly ClusterId[];
  /** By cluster. */
  readonly rows: readonly MergeRow[];
}

export const NO_CLUSTERS: ClustersState = {
  dissolution: undefined,
  parent: undefined,
  ageMinutes: 0,
  approved: [],
  rows: [],
};

export class Clusters {
  #dissolution: Dissolution | undefined;
  #parent: Parent | undefined;
  #ageMinutes = 0;
  #approved: ClusterId[] = [];
  readonly #rows = new Map<ClusterId, MergeRow>();

  get dissolution(): Dissolution | undefined {
    return this.#dissolution;
  }

  get parent(): Parent | undefined {
    return this.#parent;
  }

  get ageMinutes(): number {
    return this.#ageMinutes;
  }

  /** Whether somebody here has agreed to merge with `cluster`. */
  isApproved(cluster: ClusterId): boolean {
    return this.#approved.includes(cluster);
  }

  row(cluster: ClusterId): MergeRow | undefined {
    return this.#rows.get(cluster);
  }

  /** The merge under way in which this cluster is the winner. Of several the first. */
  get merging(): MergeRow | undefined {
    for (const row of this.#rows.values()) if (row.phase === "merging") return row;
    return undefined;
  }

  // The commands. Each returns whether it changed anything.

  /** A further minute of the cluster's life has passed. */
  growOlder(minutes: number): boolean {
    if (minutes !== this.#ageMinutes + 1 || minutes > AGE_MINUTES_MAX) return false;
    this.#ageMinutes = minutes;
    return true;
  }

  approve(cluster: ClusterId): boolean {
    if (this.isApproved(cluster)) return false;
    this.#approved = [...this.#approved, cluster].slice(-APPROVED_MAX);
    return true;
  }

  dissolve(dissolution: Dissolution): boolean {
    if (this.#dissolution !== undefined || this.merging !== undefined) return false;
    this.#dissolution = dissolution;
    return true;
  }

  /** The winner has aborted the merge of this cut. */
  resume(cut: number): boolean {
    if (this.#dissolution?.cut !== cut) return false;
    this.#dissolution = undefined;
    return true;
  }

  /** Whether chunk `chunk` of (`cluster`, `cut`) is the one to be taken now. */
  isNext(cluster: ClusterId, cut: number, chunk: number): boolean {
    if (this.#dissolution !== undefined) return false;
    const row = this.#rows.get(cluster);
    if (row === undefined || row.cut < cut) return chunk === 0 && row?.phase !== "merged";
    return row.cut === cut && row.phase === "merging" && !row.isComplete && row.chunks === chunk;
  }

  /** Chunk `chunk`, which {@link isNext}, has been taken at log index `index`. */
  took(
    chunk: Pick<MergeRow, "cluster" | "cut" | "isComplete" | "shift" | "forkedAt">,
    topics: number,
    index: number,
  ): MergeRow {
    const before = this.#rows.get(chunk.cluster);
    const isFirst = before?.cut !== chunk.cut;
    return this.#set({
      ...chunk,
      phase: "merging",
      shift: isFirst ? chunk.shift : before.shift,
      forkedAt: isFirst ? chunk.forkedAt : before.forkedAt,
      chunks: isFirst ? 1 : before.chunks + 1,
      topics: (isFirst ? 0 : before.topics) + topics,
      index,
    });
  }

  /** All chunks of (`cluster`, `cut`) are in: from here on its nodes may give up what they have. */
  merged(cluster: ClusterId, cut: number, index: number): boolean {
    const row = this.#rows.get(cluster);
    if (row?.cut !== cut || row.phase !== "merging" || !row.isComplete) return false;
    this.#set({ ...row, phase: "merged", index });
    return true;
  }

  /** (`cluster`, `cut`) will never be merged, so it may go on by itself. */
  abort(cluster: ClusterId, cut: number, index: number): boolean {
    const row = this.#rows.get(cluster);
    if (row !== undefined && (row.cut > cut || row.phase === "merged")) return false;
    if (row?.cut === cut && row.phase === "aborted") return false;
    const topics = row?.cut === cut ? row.topics : 0;
    const nothing = { chunks: 0, isComplete: false, shift: 0, forkedAt: 0 };
    this.#set({ cluster, cut, phase: "aborted", ...nothing, topics, index });
    return true;
  }

  /** This cluster begins as a copy of `parent`: what that had agreed on with others is not this one's. */
  fork(parent: Parent): void {
    this.restore({
      ...NO_CLUSTERS,
      parent,
      rows: this.state().rows.filter(({ phase }) => phase === "merged"),
    });
  }

  /** What a cluster that is taken in knows about others that were taken in by it: their nodes may still come back. */
  inherit(row: MergeRow, index: number): void {
    const before = this.#rows.get(row.cluster);
    if (before?.phase === "merging" || before?.phase === "merged") return;
    if (row.phase === "merged") this.#set({ ...row, index });
  }

  // The whole.

  state(): ClustersState {
    return {
      dissolution: this.#dissolution,
      parent: this.#parent,
      ageMinutes: this.#ageMinutes,
      approved: [...this.#approved],
      rows: [...this.#rows.values()].sort((a, b) => (a.cluster < b.cluster ? -1 : 1)),
    };
  }

  restore(state: ClustersState): void {
    this.#dissolution = state.dissolution;
    this.#parent = state.parent;
    this.#ageMinutes = state.ageMinutes;
    this.#approved = [...state.approved];
    this.#rows.clear();
    for (const row of state.rows) this.#rows.set(row.cluster, row);
  }

  #set(row: MergeRow): MergeRow {
    this.#rows.set(row.cluster, row);
    if (this.#rows.size > ROWS_MAX) this.#forgetOldest();
    return row;
  }

  /** Of equal age the one with the lower id, on every node the same. */
  #forgetOldest(): void {
    let oldest: MergeRow | undefined;
    for (const row of this.#rows.values()) {
      if (row.phase === "merging") continue;
      const isOlder =
        oldest === undefined ||
        row.index < oldest.index ||
        (row.index === oldest.index && row.cluster < oldest.cluster);
      if (isOlder) oldest = row;
    }
    if (oldest !== undefined) this.#rows.delete(oldest.cluster);
  }
}
