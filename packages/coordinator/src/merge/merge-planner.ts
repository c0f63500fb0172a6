/**
 * How two clusters of one mesh that meet become one: what a node says to the other cluster and asks its own log for.
 *
 * A two-phase commit with the winner as coordinator, each step an entry in a log, so that any node goes on where another one
 * stopped and every message may be lost or repeated:
 *
 * ```
 * loser's leader                          winner's leader
 *   summary  ------------------------->     (each second, both ways)
 *            <-------------------------   summary, offers
 *   DISSOLVE(winner) in its log, at the cut
 *   chunk k  ------------------------->   MERGE(loser, cut, k) in its log
 *            <-------------------------   progress: merging, next k+1
 *                                         MERGED(loser, cut) behind the last chunk
 *   every node  <----------------------   progress: merged, from every member of the winner
 *   archives what it has, starts again as a new node and joins
 * ```
 *
 * A winner that is dissolved itself answers with MERGE_ABORT, and only then the loser resumes. While it has no answer it waits, and
 * holds what its clients write. `merged` is told only when the teller's disk has it: the loser's nodes give up their data for it.
 *
 * All nodes run this; only the leader proposes and compares. Where a dissolved cluster has no leader, its nodes hand over what
 * they hold by themselves: the state at the cut is the same on each that has applied the DISSOLVE.
 *
 * Source: reference design, section 1.4; two-phase commit (Gray, 1978).
 */

import { type ClusterId, type Core, type MonotonicMs, unreachable } from "@skein/kernel";
import { shiftOf } from "../hybrid-clock.ts";
import type { ClusterCommand } from "../state-machine/cluster-commands.ts";
import { AGE_MINUTES_MAX, type MergeRow } from "../state-machine/clusters.ts";
import type { MergeEffect, MergeEvent, MergeOptions, MergeStatus, OwnCluster } from "./merge-events.ts";
import type { MergeMessage, Summary } from "./merge-messages.ts";
import { isHigher, mayMerge, obstacle } from "./merge-rank.ts";
import { OTHERS_MAX, OtherClusters } from "./other-clusters.ts";

const SAY_EVERY_MS = 1000;
/** What was proposed and has not come back is proposed again. */
const PROPOSE_AGAIN_MS = 4000;
/** A cluster without a leader for so long hands over what it has by itself. */
const LEADERLESS_MS = 5000;
/** A loser that was not heard for so long does not keep its winner from merging with others. */
const STALLED_MS = 60_000;
/** Three times the interval at which every node flushes its journal (coordinator.ts). */
const ON_DISK_AFTER_MS = 3000;
const MINUTE_MS = 60_000;

export class MergePlanner implements Core<MergeEvent, MergeEffect> {
  readonly #options: MergeOptions;
  readonly #others = new OtherClusters();
  /** By what they are about: when they were proposed. */
  readonly #proposed = new Map<string, number>();
  /** When this node applied the MERGED of a cluster; what is not here it has had since it started. */
  readonly #mergedAt = new Map<ClusterId, number>();
  /** The chunk that the winner wants. Undefined: not known. */
  #next: number | undefined;
  #leadsSince: number | undefined;
  /** When the minute of the cluster's life that is under way began, as far as this leader knows. */
  #minuteSince = 0;
  #leaderlessSince: number | undefined;
  #inSight: readonly ClusterId[] = [];
  #hasEnded = false;
  #effects: MergeEffect[] = [];
  #now = 0;

  constructor(options: MergeOptions) {
    this.#options = options;
  }

  /** It is ticked a few times a second, and needs nothing in between. */
  get wakeAt(): MonotonicMs | undefined {
    return undefined;
  }

  step(event: MergeEvent, now: MonotonicMs): readonly MergeEffect[] {
    if (this.#hasEnded) return [];
    this.#effects = [];
    this.#now = now;
    const { own } = event;
    switch (event.kind) {
      case "tick":
        this.#tick(own, event.inSight);
        break;
      case "received":
        this.#received(own, event.from, event.message);
        break;
      case "applied":
        this.#applied(own, event.command);
        break;
      default:
        unreachable(event);
    }
    return this.#effects;
  }

  /** As of the last tick; undefined: no other cluster is in sight, and none is being merged. */
  status(own: OwnCluster): MergeStatus | undefined {
    const { dissolution, merging } = own.clusters;
    if (dissolution !== undefined) return { kind: "joining", other: dissolution.winner };
    if (merging !== undefined) return { kind: "taking", other: merging.cluster, topics: merging.topics };
    const other = this.#inSight[0];
    if (other === undefined) return undefined;
    const theirs = this.#others.freshSummary(other, this.#now);
    if (theirs === undefined) return { kind: "comparing", other };
    const mine = this.#summary(own, other);
    const wins = isHigher({ cluster: own.cluster, summary: mine }, { cluster: other, summary: theirs });
    const reason = wins ? obstacle(mine, theirs) : obstacle(theirs, mine);
    if (reason !== undefined) return { kind: reason, other };
    const may = mayMerge(mine, theirs, this.#options.newbornMinutes);
    return { kind: may ? "comparing" : "awaitingApproval", other };
  }

  /**
   * Another cluster in sight has the better claim to what only one node of a network may have (the floating address): the winner,
   * once the logs have decided. Before that by voters and id alone, because both must agree at any time, and logs grow.
   */
  isOutranked({ cluster, summary, hasLeader, clusters }: OwnCluster): boolean {
    return this.#inSight.some((other) => {
      const phase = clusters.row(other)?.phase;
      if (phase === "merged" || (phase === "merging" && hasLeader)) return false;
      // A loser that has started again since knows no numbers of its winner, but any word of it is enough.
      if (clusters.dissolution?.winner === other) return this.#others.isHeard(other, this.#now);
      const theirs = this.#others.freshSummary(other, this.#now);
      if (theirs === undefined || !hasLeader) return theirs !== undefined;
      return theirs.voters === summary.voters ? other > cluster : theirs.voters > summary.voters;
    });
  }

  // Each tick

  #tick(own: OwnCluster, inSight: readonly ClusterId[]): void {
    this.#inSight = inSight;
    this.#growOlder(own);
    for (const cluster of inSight) {
      if (own.clusters.row(cluster)?.phase === "merged") this.#tellMerged(own, cluster);
      else if (own.isLeader) this.#saySummary(own, cluster);
    }
    if (own.clusters.dissolution !== undefined) this.#handOver(own);
    if (!own.isLeader) return;
    const { merging } = own.clusters;
    if (merging?.isComplete === true) this.#propose("merged", mergedCommand(merging));
    this.#acceptOffer(own);
  }

  /** The cluster's age in its log, and its time where that has jumped. */
  #growOlder(own: OwnCluster): void {
    if (!own.isLeader) {
      this.#leadsSince = undefined;
      return;
    }
    if (this.#leadsSince === undefined) {
      this.#leadsSince = this.#now;
      this.#minuteSince = this.#now;
    }
    const { ageMinutes } = own.clusters;
    const isMinuteOver = ageMinutes < AGE_MINUTES_MAX && this.#now - this.#minuteSince >= MINUTE_MS;
    if (isMinuteOver) this.#minuteSince = this.#now;
    if (!isMinuteOver && !own.hasTimeJumped) return;
    const next = isMinuteOver ? ageMinutes + 1 : ageMinutes;
    this.#effects.push({ kind: "propose", command: { kind: "tick", stamp: own.time, ageMinutes: next } });
  }

  #saySummary(own: OwnCluster, to: ClusterId): void {
    const other = this.#others.of(to);
    if (this.#now - other.saidAt < SAY_EVERY_MS) return;
    other.saidAt = this.#now;
    const message = { kind: "summary", summary: this.#summary(own, to) } as const;
    this.#effects.push({ kind: "sendAll", to, message });
  }

  /**
   * Every member of the winner tells every node of the loser that it sees, once it is on disk. Until then the leader says that it is
   * there, or a loser that has met it just now would keep what only one may have.
   */
  #tellMerged(own: OwnCluster, to: ClusterId): void {
    const row = own.clusters.row(to);
    const other = this.#others.of(to);
    if (row === undefined || this.#now - other.saidAt < SAY_EVERY_MS) return;
    const isOnDisk = this.#isOnDisk(to);
    if (!isOnDisk && !own.isLeader) return;
    other.saidAt = this.#now;
    const phase = isOnDisk ? "merged" : "merging";
    const message = { kind: "progress", cut: row.cut, phase, next: row.chunks } as const;
    this.#effects.push({ kind: "sendAll", to, message });
  }

  #isOnDisk(cluster: ClusterId): boolean {
    return this.#now - (this.#mergedAt.get(cluster) ?? Number.NEGATIVE_INFINITY) >= ON_DISK_AFTER_MS;
  }

  /** The loser's side: asks how far the winner is, and gives it what it wants next. */
  #handOver(own: OwnCluster): void {
    const { dissolution } = own.clusters;
    if (dissolution === undefined || !this.#mayHandOver(own)) return;
    for (const to of own.isLeader ? [] : this.#inSight) this.#saySummary(own, to);
    const winner = this.#others.of(dissolution.winner);
    if (this.#next === undefined || !this.#inSight.includes(dissolution.winner)) return;
    if (this.#now - winner.saidAt >= SAY_EVERY_MS / 2) this.#sendChunk(own);
  }

  #mayHandOver({ isLeader, hasLeader }: OwnCluster): boolean {
    if (hasLeader) this.#leaderlessSince = undefined;
    else this.#leaderlessSince ??= this.#now;
    return isLeader || this.#now - (this.#leaderlessSince ?? this.#now) >= LEADERLESS_MS;
  }

  #sendChunk(own: OwnCluster): void {
    const { dissolution } = own.clusters;
    if (dissolution === undefined || this.#next === undefined) return;
    const chunk = own.chunk(this.#next);
    // All are there: the next summary asks what has become of it.
    if (chunk === undefined) return;
    const { number, isLast, bytes } = chunk;
    const { cut, winner } = dissolution;
    this.#send(winner, { kind: "chunk", cut, chunk: number, isLast, now: own.time, bytes });
  }

  /** Of those that offer to take this cluster in the highest, as this node sees it itself. */
  #acceptOffer(own: OwnCluster): void {
    const { dissolution, merging } = own.clusters;
    if (dissolution !== undefined) return;
    let best: { readonly cluster: ClusterId; readonly summary: Summary } | undefined;
    for (const cluster of this.#inSight) {
      const summary = this.#others.freshSummary(cluster, this.#now);
      if (summary?.offers !== true || summary.dissolution !== undefined) continue;
      if (own.clusters.row(cluster)?.phase === "merged") continue;
      const mine = this.#summary(own, cluster);
      const isTaken = isHigher({ cluster, summary }, { cluster: own.cluster, summary: mine });
      if (!isTaken || !this.#mayTake(summary, mine)) continue;
      if (best === undefined || isHigher({ cluster, summary }, best)) best = { cluster, summary };
    }
    if (best === undefined) return;
    if (merging !== undefined) this.#giveUpStalled(merging);
    else {
      const { mergeChunkBytes: chunkBytes } = this.#options;
      this.#propose("dissolve", { kind: "dissolve", winner: best.cluster, chunkBytes });
    }
  }

  #giveUpStalled(row: MergeRow): void {
    const since = Math.max(this.#others.of(row.cluster).heardAt, this.#leadsSince ?? this.#now);
    if (this.#now - since < STALLED_MS || row.isComplete) return;
    this.#propose("abort", { kind: "mergeAbort", loser: row.cluster, cut: row.cut });
  }

  // What the other cluster says

  #received(own: OwnCluster, from: ClusterId, message: MergeMessage): void {
    const other = this.#others.of(from);
    if (message.kind === "summary") other.summary = message.summary;
    other.heardAt = this.#now;
    if (message.kind === "progress") this.#progressed(own, from, message);
    else if (!own.isLeader) return;
    else if (message.kind === "chunk") this.#chunkCame(own, from, message);
    else if (message.summary.dissolution !== undefined)
      this.#dissolvedCame(own, from, message.summary.dissolution);
  }

  /** A dissolved cluster asks what has become of it. */
  #dissolvedCame(
    own: OwnCluster,
    from: ClusterId,
    { winner, cut }: { winner: ClusterId; cut: number },
  ): void {
    if (winner === own.cluster) {
      if (!this.#refuse(own, from, cut)) this.#sayProgress(own, from, cut);
      return;
    }
    // Its winner is in here, with all that it had decided: a merge that is not among that never came about.
    if (own.clusters.row(winner)?.phase !== "merged" || own.clusters.row(from)?.phase === "merged") return;
    if (this.#isOnDisk(winner)) this.#send(from, { kind: "progress", cut, phase: "aborted", next: 0 });
  }

  /** A cluster that is dissolved itself decides that it takes nobody in. Whether that is so. */
  #refuse(own: OwnCluster, loser: ClusterId, cut: number): boolean {
    if (own.clusters.dissolution === undefined) return false;
    const row = own.clusters.row(loser);
    if (row !== undefined && row.cut >= cut) return false;
    this.#propose(`abort ${loser}`, { kind: "mergeAbort", loser, cut });
    return true;
  }

  #chunkCame(own: OwnCluster, from: ClusterId, message: MergeMessage & { kind: "chunk" }): void {
    const { cut, chunk, isLast, bytes } = message;
    if (this.#refuse(own, from, cut)) return;
    const row = own.clusters.row(from);
    const next = row?.cut === cut ? row.chunks : 0;
    const isWanted = row?.cut === cut ? row.phase === "merging" && !row.isComplete : row?.phase !== "merged";
    if (!isWanted || chunk !== next) {
      this.#sayProgress(own, from, cut);
      return;
    }
    const { cluster: winner, time: stamp } = own;
    const shift = shiftOf(own.time, message.now);
    this.#propose(`chunk ${from} ${chunk}`, {
      kind: "merge",
      winner,
      loser: from,
      cut,
      chunk,
      isLast,
      stamp,
      shift,
      bytes,
    });
  }

  /** What the state says about the merge of (`to`, `cut`). */
  #sayProgress(own: OwnCluster, to: ClusterId, cut: number): void {
    const row = own.clusters.row(to);
    if (row === undefined || row.cut < cut) {
      this.#send(to, { kind: "progress", cut, phase: "merging", next: 0 });
    } else if (row.phase !== "merged" && row.cut === cut) {
      this.#send(to, { kind: "progress", cut, phase: row.phase, next: row.chunks });
    }
  }

  #progressed(own: OwnCluster, from: ClusterId, message: MergeMessage & { kind: "progress" }): void {
    if (message.phase === "merged") {
      this.#hasEnded = true;
      this.#effects.push({ kind: "startAgain", winner: from });
      return;
    }
    const { dissolution } = own.clusters;
    if (dissolution?.cut !== message.cut) return;
    if (message.phase === "aborted") {
      if (own.isLeader) this.#propose("resume", { kind: "resume", cut: message.cut });
      return;
    }
    if (from !== dissolution.winner || !this.#mayHandOver(own)) return;
    this.#next = message.next;
    this.#sendChunk(own);
  }

  // What the own log says

  #applied(own: OwnCluster, command: ClusterCommand): void {
    this.#proposed.clear();
    switch (command.kind) {
      case "dissolve":
      case "resume":
        this.#next = undefined;
        return;
      case "merge":
      case "merged":
      case "mergeAbort":
        if (command.kind === "merged") this.#mergedAt.set(command.loser, this.#now);
        if (own.isLeader) this.#sayProgress(own, command.loser, command.cut);
        if (own.isLeader && command.kind === "merge") {
          const { merging } = own.clusters;
          if (merging?.isComplete === true) this.#propose("merged", mergedCommand(merging));
        }
        return;
      default:
    }
  }

  // Helpers

  #summary(own: OwnCluster, to: ClusterId): Summary {
    const { clusters } = own;
    const { dissolution, ageMinutes } = clusters;
    const isApproved = clusters.isApproved(to);
    const plain = { ...own.summary, ageMinutes, isApproved, offers: false, dissolution };
    return { ...plain, offers: this.#offers(own, to, plain) };
  }

  #offers(own: OwnCluster, to: ClusterId, mine: Summary): boolean {
    const theirs = this.#others.freshSummary(to, this.#now);
    if (theirs === undefined || mine.dissolution !== undefined || theirs.dissolution !== undefined)
      return false;
    const isTaking = isHigher({ cluster: own.cluster, summary: mine }, { cluster: to, summary: theirs });
    return isTaking && this.#mayTake(mine, theirs);
  }

  #mayTake(winner: Summary, loser: Summary): boolean {
    return obstacle(winner, loser) === undefined && mayMerge(winner, loser, this.#options.newbornMinutes);
  }

  #send(to: ClusterId, message: MergeMessage): void {
    this.#others.of(to).saidAt = this.#now;
    this.#effects.push({ kind: "send", to, message });
  }

  /** `about`: what is not proposed twice while it is on its way. */
  #propose(about: string, command: ClusterCommand): void {
    const at = this.#proposed.get(about) ?? Number.NEGATIVE_INFINITY;
    if (this.#now - at < PROPOSE_AGAIN_MS) return;
    if (this.#proposed.size >= OTHERS_MAX) this.#proposed.clear();
    this.#proposed.set(about, this.#now);
    this.#effects.push({ kind: "propose", command });
  }
}

function mergedCommand({ cluster, cut }: MergeRow): ClusterCommand {
  return { kind: "merged", loser: cluster, cut };
}
