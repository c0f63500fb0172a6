/**
 * The way of proposals: from this node to whoever leads, into the log if that is this node, and back when applied.
 *
 * A node may propose only in its own name. What the leader already has it does not append again (admission.ts); what it
 * cannot take is dropped, because the proposer keeps it and sends it again (proposals.ts).
 *
 * A copy of this node's data directory that ran elsewhere while this node did not has started as often as this node has, and has proposed
 * under the same numbers. What has not come back is not in the log then, although its number is. So a command in the log that is not
 * this process's own settles nothing: this process ends, and its next start, behind all that the copy has had, has numbers of its own.
 */

import { type Incarnation, type NodeId, PASSED_BY } from "@skein/kernel";
import type { Stamp } from "../hybrid-clock.ts";
import type { Identity } from "../options.ts";
import type { Driver } from "../replica/driver.ts";
import type { Applied } from "../state-machine/applied.ts";
import { encodeClusterCommand } from "../state-machine/cluster-commands.ts";
import { decodeCommand, lastPlaceOf, withoutRepeated } from "../state-machine/commands.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";
import { Admission } from "./admission.ts";
import { decodedOrNothing } from "./inherited.ts";
import type { Proposals } from "./proposals.ts";

/** MQTT 5 reason codes. */
const QUOTA_EXCEEDED = 0x97;
const UNSPECIFIED_ERROR = 0x80;

export interface ProposalRoutePorts {
  readonly sendToLeader: (leader: NodeId, commands: readonly Uint8Array[]) => void;
  /** A majority has answered whoever leads, this node included. */
  readonly hasQuorum: () => boolean;
  /** What time it is in the cluster. */
  readonly time: () => Stamp;
  /**
   * Another process has proposed under this node's identity, last after `starts` starts: no number says any more whose command it is.
   * Called once.
   */
  readonly impersonated: (starts: Incarnation) => void;
}

export class ProposalRoute {
  readonly #self: Identity;
  readonly #machine: StateMachine;
  readonly #proposals: Proposals;
  readonly #admission: Admission;
  readonly #ports: ProposalRoutePorts;
  #isImpersonated = false;

  constructor(self: Identity, machine: StateMachine, proposals: Proposals, ports: ProposalRoutePorts) {
    this.#self = self;
    this.#machine = machine;
    this.#proposals = proposals;
    this.#admission = new Admission(machine.sequencer);
    this.#ports = ports;
  }

  /**
   * Role, term or leader changed: what was appended may be gone. But what a new leader finds in its log stays there, and after
   * elections without a commit in between that is all that is pending, of everybody: it is not appended once more by each of them.
   */
  leadershipChanged({ leadership, unapplied }: Driver): void {
    this.#admission.reset();
    if (leadership.role !== "leader") return;
    for (const { kind, data } of unapplied) {
      if (kind !== "command") continue;
      for (const command of decodedOrNothing(data))
        this.#admission.admit(command.envelope, lastPlaceOf(command));
    }
  }

  /** The cluster goes on after a merge was called off: what was held is proposed again. */
  resumed(): void {
    this.#admission.reset();
    this.#proposals.sendAgain();
  }

  /** Takes commands of this node towards the leader. False: there is none now, or it cannot take them. */
  propose(driver: Driver | undefined, commands: readonly Uint8Array[]): boolean {
    if (driver === undefined || this.#isHeld) return false;
    // No leader takes it: a later start, of a copy, is in the log.
    if (this.#isFenced) this.#meetImpostor();
    if (this.#isImpersonated) return false;
    const { role, leader } = driver.leadership;
    // A log that has gone back to before all members knew them (a blackout) takes nothing that only some know.
    const known = this.#machine.remembersRepeated ? commands : commands.map(withoutRepeated);
    if (role === "leader") return this.admit(driver, this.#self.node, known);
    if (leader === undefined) return false;
    this.#ports.sendToLeader(leader as NodeId, known);
    return true;
  }

  /**
   * Appends what is new among `commands` of `from`. False, and nothing is appended, if this node does not lead or too
   * much is uncommitted. So it is while no majority answers: another node may have given this one up, and sends again in the form for no quorum what it
   * has acknowledged meanwhile; what it sent before is older than what this node acknowledges now, and may arrive later. @throws {SkeinError} ERR_SKEIN_MALFORMED; then nothing is appended either
   */
  admit(driver: Driver, from: NodeId, commands: readonly Uint8Array[]): boolean {
    if (driver.leadership.role !== "leader" || this.#isHeld) return false;
    if (from !== this.#self.node && !this.#ports.hasQuorum()) return false;
    const decoded = commands.map(decodeCommand);
    const mark = this.#admission.mark(from);
    const fresh: Uint8Array[] = [];
    for (const [at, bytes] of commands.entries()) {
      const command = decoded[at];
      if (command?.envelope.node !== from) continue;
      if (!this.#admission.admit(command.envelope, lastPlaceOf(command))) continue;
      if (command.operation.kind === "nodeUp") fresh.push(this.#timeNow());
      fresh.push(bytes);
    }
    if (fresh.length === 0 || driver.propose(fresh)) return true;
    this.#admission.goBack(from, mark);
    return false;
  }

  /**
   * What comes before a node's word that it has started again: its own clock is behind by as long as it was down, and the time that
   * its clients have to come back begins now.
   */
  #timeNow(): Uint8Array {
    const { ageMinutes } = this.#machine.clusters;
    return encodeClusterCommand({ kind: "tick", stamp: this.#ports.time(), ageMinutes });
  }

  /** This cluster is dissolved: nothing that a client writes counts in it, as long as it does not resume. */
  get #isHeld(): boolean {
    return this.#machine.clusters.dissolution !== undefined;
  }

  /** A committed command went through the state machine. */
  applied({ outcome, command }: Applied): void {
    if (command === undefined) return;
    const { node, incarnation, seq } = command.envelope;
    if (node !== this.#self.node) return;
    if (incarnation !== this.#self.incarnation) {
      if (outcome !== "gap") this.#settleInherited();
      return;
    }
    if (!this.#proposals.hasProposed(command)) this.#meetImpostor();
    if (this.#isImpersonated) return;
    if (outcome === "gap") this.#proposals.cameTooEarly(seq);
    else if (outcome === "passed") this.#proposals.settleThrough(seq, PASSED_BY);
    else if (outcome === "full") this.#proposals.settleThrough(seq, QUOTA_EXCEEDED);
    else if (outcome === "stale") this.#proposals.settleThrough(seq, UNSPECIFIED_ERROR);
    else this.settle();
  }

  /** The replicated state lacks commands of this node that were settled: they are gone, and so is its place in line. */
  get hasLostCommands(): boolean {
    const { node, incarnation } = this.#self;
    return this.#machine.sequencer.last(node, incarnation) < this.#proposals.settledSeq;
  }

  #settleInherited(): void {
    const { sequencer } = this.#machine;
    this.#proposals.inheritedLeft((command) => {
      const { node, incarnation } = command.envelope;
      return (
        !sequencer.isFenced(node, incarnation) && sequencer.last(node, incarnation) < lastPlaceOf(command)
      );
    });
  }

  /** Settles what the replicated state says is applied; at the start, for what was inherited, and after a snapshot. */
  settle(): void {
    const { node, incarnation } = this.#self;
    const { sequencer } = this.#machine;
    this.#settleInherited();
    const last = sequencer.last(node, incarnation);
    if (last > this.#proposals.proposedSeq || this.#isFenced) this.#meetImpostor();
    if (!this.#isImpersonated) this.#proposals.settleThrough(last);
  }

  get #isFenced(): boolean {
    return this.#machine.sequencer.isFenced(this.#self.node, this.#self.incarnation);
  }

  #meetImpostor(): void {
    if (this.#isImpersonated) return;
    this.#isImpersonated = true;
    this.#ports.impersonated(this.#machine.sequencer.newest(this.#self.node) ?? this.#self.incarnation);
  }
}
