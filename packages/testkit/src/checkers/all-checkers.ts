/**
 * All checkers of a simulation, with what differs between worlds.
 */

import type { OnQuorumLoss } from "@skein/coordinator";
import type { Checker } from "../observations.ts";
import { AcknowledgedLoss } from "./acknowledged-loss.ts";
import { AddressHolder, type AddressHolderOptions } from "./address-holder.ts";
import type { Durability } from "./blackout-watch.ts";
import { BoundedMemory } from "./bounded-memory.ts";
import { DurableLoss } from "./durable-loss.ts";
import { ElectionSafety } from "./election-safety.ts";
import { ElectionStorms, type ElectionStormsOptions } from "./election-storms.ts";
import { ExactlyOnce } from "./exactly-once.ts";
import { HeldWithoutQuorum } from "./held-without-quorum.ts";
import { InterestConvergence, type InterestConvergenceOptions } from "./interest-convergence.ts";
import { LeaderCompleteness } from "./leader-completeness.ts";
import { LeaseHolder } from "./lease-holder.ts";
import { Liveness } from "./liveness.ts";
import { LogMatching } from "./log-matching.ts";
import { Membership } from "./membership.ts";
import { MergeUnion } from "./merge-union.ts";
import { NoPhantom } from "./no-phantom.ts";
import { NoRefusal } from "./no-refusal.ts";
import { OneConnection } from "./one-connection.ts";
import { PassedBy } from "./passed-by.ts";
import { PerCluster } from "./per-cluster.ts";
import { PublishOrder } from "./publish-order.ts";
import { ReplicaModel } from "./replica-model.ts";
import { RetainedLinearizable } from "./retained-linearizable.ts";
import { SessionPresent } from "./session-present.ts";
import { SharedMembers } from "./shared-members.ts";
import { ToldAfterHeal } from "./told-after-heal.ts";
import { Twins } from "./twins.ts";
import type { UncertainReadsOptions } from "./uncertain-reads.ts";
import { WholeSnapshots } from "./whole-snapshots.ts";
import { Wills } from "./wills.ts";

export interface CheckerOptions {
  readonly durability: Durability;
  /** As the nodes are told. Default: `outbox`. */
  readonly onQuorumLoss?: OnQuorumLoss | undefined;
  readonly address?: Partial<AddressHolderOptions>;
  readonly elections?: Partial<ElectionStormsOptions>;
  readonly interest?: Partial<InterestConvergenceOptions>;
  readonly retained?: Partial<UncertainReadsOptions>;
  /** Most messages that a kept session may be owed, as the nodes are told. Default: 10,000. */
  readonly queuedMessagesMax?: number | undefined;
  /** Caps in bytes of the queues that the world reports, by name. */
  readonly memoryCapBytes?: ReadonlyMap<string, number>;
}

/** Makes one checker for each promise that holds today. Each sees every observation of one run, in order. */
export function allCheckers(options: CheckerOptions): Checker[] {
  const { durability } = options;
  return [
    new PerCluster(() => new ElectionSafety()),
    new PerCluster(() => new LogMatching(durability)),
    new PerCluster(() => new LeaderCompleteness(durability)),
    new PerCluster(() => new ReplicaModel(durability)),
    new PerCluster(() => new LeaseHolder()),
    new MergeUnion(durability),
    new AddressHolder(options.address),
    new RetainedLinearizable(durability, options.retained),
    new AcknowledgedLoss(),
    new DurableLoss(durability),
    new SharedMembers(durability),
    new PassedBy(options.queuedMessagesMax ?? 10_000),
    new ExactlyOnce(durability),
    new ToldAfterHeal(durability),
    new PublishOrder(durability),
    new SessionPresent(durability),
    new OneConnection(),
    new NoPhantom(durability),
    new Wills(durability),
    new InterestConvergence(options.interest),
    new BoundedMemory(options.memoryCapBytes ?? new Map()),
    new ElectionStorms(options.elections),
    new Membership(),
    new Twins(),
    new WholeSnapshots(),
    new Liveness(),
    new NoRefusal(),
    ...(options.onQuorumLoss === "hold" ? [new HeldWithoutQuorum()] : []),
  ];
}
