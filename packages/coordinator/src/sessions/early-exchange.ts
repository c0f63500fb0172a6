/**
 * What this node's clients and those of other nodes without a quorum get, and say, before the log has it: messages are handed over at once,
 * and whoever has a command in its outbox hears who has its message.
 *
 * Where there is a quorum the log brings everything in its order, and nothing is taken from others; but a node that has no replica yet, or
 * has just got one with a snapshot, hears from them what goes to everybody (newcomers.ts).
 *
 * Source: reference design, section 4.7.
 */

import type { ApplicationMessage, ClusterId, Incarnation, NodeId } from "@skein/kernel";
import { batchFrom, type ControlFrame } from "../frames.ts";
import type { Identity, PeerView } from "../options.ts";
import type { Released } from "../proposals/pending-command.ts";
import type { Proposals } from "../proposals/proposals.ts";
import type { Applied } from "../state-machine/applied.ts";
import {
  type Command,
  decodeCommand,
  type Envelope,
  encodeCommand,
  type Operation,
} from "../state-machine/commands.ts";
import type { Sequence } from "../state-machine/sequencer.ts";
import type { Publication } from "../state-machine/sessions/publishing-port.ts";
import type { SessionState } from "../state-machine/sessions/session-state.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";
import type { Claim } from "./claim.ts";
import { EarlyAcknowledgements } from "./early-acknowledgements.ts";
import { EarlyMessages, envelopeOf, nameOf } from "./early-messages.ts";
import { EarlyWills, type PublishedWill } from "./early-wills.ts";
import type { Newcomers } from "./newcomers.ts";

/** What others must hear of before the log has it. */
const EARLY_KINDS: ReadonlySet<Operation["kind"]> = new Set([
  "publish",
  "publishOnce",
  "subscribe",
  "acknowledge",
  "confirm",
]);

/** What clients have said, of which who comes into reach without a quorum hears. */
const SAID_KINDS: ReadonlySet<Operation["kind"]> = new Set(["subscribe", "acknowledge", "confirm"]);

/**
 * A message that comes before the log has it, for the kept sessions of this node, or (`isForEverybody`) for all subscribers, or for the session
 * of one client only. `name` is how the holder hears of it again.
 */
export type Early = (
  message: ApplicationMessage,
  publisher: string | undefined,
  name: string,
  isForEverybody: boolean,
  onlyFor?: string,
) => void;

export interface EarlyExchangePorts {
  /** The other nodes of this cluster. */
  readonly peers: () => readonly PeerView[];
  readonly newcomers: Pick<Newcomers, "linked">;
  readonly hasQuorum: () => boolean;
  readonly sendMember: (to: NodeId, frame: (cluster: ClusterId) => ControlFrame) => void;
  readonly publishEarly?: Early | undefined;
  /** To the live subscribers of this node. */
  readonly publishFromLog?: ((publication: Publication, isFirstHand: boolean) => void) | undefined;
  /** The newest claim of a client on this node. */
  readonly claimOf: (clientId: string) => Claim | undefined;
  /** The client of `claim` has a message of its queue. */
  readonly acknowledge: (claim: Claim, ordinal: number) => void;
}

export class EarlyExchange {
  readonly #self: Identity;
  readonly #machine: StateMachine;
  readonly #proposals: Proposals;
  readonly #ports: EarlyExchangePorts;
  readonly #early = new EarlyMessages();
  readonly #wills = new EarlyWills();
  /** What clients have said of their queues, to this node and, where it has no quorum, to others that have none either. */
  readonly said = new EarlyAcknowledgements();
  /** What clients have said to earlier runs of this node is known, too. */
  #hasInherited = false;
  /** Nodes in reach that have heard what clients have said here, as long as this node has no quorum. */
  readonly #informed = new Set<NodeId>();
  /** This node has no replica yet, or its first one has not been led for long enough. */
  #isNew = false;
  /** Its first replica lacks something of what was committed before it heard the leader. */
  #isFilling = false;
  /** How far that went of each node: nobody here has heard what is in there. */
  #skipped: ReadonlyMap<NodeId, Sequence> | undefined;
  /** And the log index of the last entry of it. */
  #skippedThrough = 0;

  constructor(self: Identity, machine: StateMachine, proposals: Proposals, ports: EarlyExchangePorts) {
    this.#self = self;
    this.#machine = machine;
    this.#proposals = proposals;
    this.#ports = ports;
  }

  /** Whether a kept session that the log does not know of yet wants messages of this topic. */
  wants(topic: string): boolean {
    return this.#early.isWanted(topic);
  }

  /** There has been a leader for long enough that the log knows. */
  wantNothing(): void {
    this.#early.wantNothing();
    if (!this.#isNew) return;
    this.#isNew = false;
    this.#isFilling = false;
    this.#skipped = undefined;
    this.#early.forgetThose((envelope) => this.#isInLog(envelope));
  }

  /** This node has no replica: until the log has been led for long enough it lets others tell it. */
  isWithoutReplica(): void {
    this.#isNew = true;
    this.#isFilling = true;
  }

  /**
   * What the first replica of this process is filled with, by a snapshot or entry by entry, was published before its clients came, or others tell
   * of it (newcomers.ts): it is not for live subscribers.
   */
  get isFilling(): boolean {
    return this.#isFilling;
  }

  /** The replica has all that was committed before this node heard the leader, up to log index `index`; `next`: and one command more. */
  filled(index: number, next?: Envelope): void {
    this.#isFilling = false;
    this.#skippedThrough = index;
    const rows = this.#machine.sequencer.rows().map((row): readonly [NodeId, Sequence] => {
      const isOfNext = next?.node === row.node && next.incarnation === row.incarnation;
      return [row.node, isOfNext ? { ...row, last: Math.min(row.last, next.seq - 1) } : row];
    });
    this.#skipped = new Map(rows);
  }

  /** The state machine was replaced by a snapshot. */
  restored(): void {
    this.said.clear();
  }

  /** Without a quorum these commands of this node count from now on: whoever is in reach gets what they say. */
  released(commands: readonly Released[]): void {
    const told = commands.filter(({ operation: { kind } }) => EARLY_KINDS.has(kind));
    if (!this.#hasInherited) for (const { operation } of this.#proposals.open()) this.said.take(operation);
    this.#hasInherited = true;
    for (const { operation } of commands) {
      this.said.take(operation);
      if (operation.kind === "open") this.#openNow(operation.opening.clientId);
    }
    for (const { bytes } of told) this.#handOver(decodeCommand(bytes));
    for (const { id, isLinked } of this.#ports.peers()) if (isLinked) this.#tellAll(id, told);
    const newcomers = this.#ports.newcomers.linked();
    if (newcomers.length === 0) return;
    for (const { bytes, operation } of told)
      if (operation.kind === "publishOnce") for (const id of newcomers) this.#tell(id, [bytes]);
  }

  /** A few times a second. Who comes into reach without a quorum has not heard what clients have said here before. */
  tick(): void {
    const { hasQuorum, peers } = this.#ports;
    if (hasQuorum()) {
      this.#informed.clear();
      return;
    }
    for (const { id, isLinked } of peers()) {
      if (!isLinked) this.#informed.delete(id);
      else if (!this.#informed.has(id)) {
        this.#informed.add(id);
        const said = [...this.#proposals.open()].filter(({ operation: { kind } }) => SAID_KINDS.has(kind));
        this.#tellAll(id, said);
      }
    }
  }

  /** The log has brought a message of a client of this node to everybody. */
  published(command: Command): void {
    const newcomers = this.#ports.newcomers.linked();
    if (newcomers.length === 0) return;
    const commands = [encodeCommand(command)];
    for (const id of newcomers) this.#tell(id, commands);
  }

  /** The log has brought a will to everybody, and this node is the first to know. */
  publishedWill({ index, publisher, message }: PublishedWill): void {
    for (const id of this.#ports.newcomers.linked())
      this.#ports.sendMember(id, (cluster) => ({ kind: "will", cluster, index, publisher, message }));
  }

  /** Another node tells of one. Behind what the replica was filled with the log brings it. */
  heardWill(will: PublishedWill): void {
    const isSkipped = this.#isFilling || will.index <= this.#skippedThrough;
    if (!this.#isNew || !isSkipped || !this.#wills.add(will)) return;
    const { message, publisher } = will;
    this.#ports.publishFromLog?.({ message, publisher, dealt: [] }, false);
  }

  /** The log has brought it. Returns whether it has come early. */
  takeWill(will: PublishedWill): boolean {
    return this.#wills.take(will);
  }

  /**
   * `from` says what counts for it without a quorum. Where there is one the log will bring its messages, and the older ones that were not
   * told here with them. @throws {SkeinError} ERR_SKEIN_MALFORMED
   */
  heard(from: NodeId, commands: readonly Uint8Array[]): void {
    const hasQuorum = this.#ports.hasQuorum();
    for (const bytes of commands) {
      const command = decodeCommand(bytes);
      const { envelope, operation } = command;
      if (envelope.node !== from) continue;
      if (this.#isNew && operation.kind === "publishOnce") this.#handToLive(command);
      if (this.#isInLog(envelope)) continue;
      if (hasQuorum && operation.kind !== "subscribe") continue;
      this.said.take(operation);
      this.#handOver(command);
    }
  }

  /** A client has a message that the log does not have yet: whoever has its command in the outbox lets that say so. */
  had(clientId: string, name: string): void {
    this.#early.had(name, clientId);
    const { node, incarnation, seq } = envelopeOf(name);
    if (node === this.#self.node) this.heardHad(incarnation, seq, clientId);
    else this.#ports.sendMember(node, (cluster) => ({ kind: "had", cluster, incarnation, seq, clientId }));
  }

  /** A client, here or on another node, has the message of command `seq` of this node, which the log does not have yet. */
  heardHad(incarnation: Incarnation, seq: number, clientId: string): void {
    if (incarnation === this.#self.incarnation) this.#proposals.had(seq, clientId);
  }

  /** A command went through the state machine. Returns whether its message has come early. */
  applied(applied: Applied, sessions: ReadonlySet<SessionState>): boolean {
    const isEarly = !this.#early.isEmpty && this.#place(applied, sessions);
    const { command } = applied;
    if (!this.said.isEmpty && command !== undefined)
      this.said.applied(command.operation, this.#machine.sessions);
    return isEarly;
  }

  /** A snapshot has brought the message of `command`; undefined: of none. Returns whether it has come early. */
  take(command: Command | undefined): boolean {
    return command !== undefined && this.#early.take(command) !== undefined;
  }

  /** A message that comes before the log has it. */
  #handOver(command: Command): void {
    const { envelope, operation } = command;
    if (operation.kind === "subscribe") this.#early.want(operation.wishes);
    if (operation.kind !== "publish" && operation.kind !== "publishOnce") return;
    if (this.#isInLog(envelope)) return;
    if (this.#early.add(command, envelope.node === this.#self.node)) this.#publish(command);
  }

  /** Kept sessions have it in their queues when they come here: with the snapshot, or from the log. */
  #handToLive(command: Command): void {
    const { envelope, operation } = command;
    if (operation.kind !== "publishOnce" || (this.#isInLog(envelope) && !this.#isSkipped(envelope))) return;
    const { message, clientId } = operation;
    if (this.#early.add(command, false))
      this.#ports.publishFromLog?.({ message, publisher: clientId, dealt: [] }, false);
  }

  #isSkipped({ node, incarnation, seq }: Envelope): boolean {
    if (this.#isFilling) return true;
    const row = this.#skipped?.get(node);
    return row?.incarnation === incarnation && seq <= row.last;
  }

  #tellAll(to: NodeId, commands: readonly Pick<Released, "bytes">[]): void {
    for (let at = 0; at < commands.length; ) {
      const batch = batchFrom(commands, at);
      at += batch.length;
      this.#tell(to, batch);
    }
  }

  #tell(to: NodeId, commands: readonly Uint8Array[]): void {
    this.#ports.sendMember(to, (cluster) => ({ kind: "early", cluster, commands }));
  }

  #isInLog({ node, incarnation, seq }: Envelope): boolean {
    return this.#machine.sequencer.last(node, incarnation) >= seq;
  }

  #publish({ envelope, operation }: Command, onlyFor?: string): void {
    if (operation.kind !== "publish" && operation.kind !== "publishOnce") return;
    const isOnce = operation.kind === "publishOnce";
    const publisher = isOnce ? operation.clientId : operation.publisher;
    this.#ports.publishEarly?.(operation.message, publisher, nameOf(envelope), isOnce, onlyFor);
  }

  /**
   * A client comes without a quorum. What was handed over here before it came it gets first, so that nothing newer overtakes that. Not where
   * other nodes are in reach: it may have had it there.
   */
  #openNow(clientId: string): void {
    if (this.#ports.claimOf(clientId)?.openNow() !== true) return;
    if (this.#ports.peers().some(({ isLinked }) => isLinked)) return;
    for (const command of this.#early.keptFor(clientId)) this.#publish(command, clientId);
  }

  /** The log has brought it. False: it did not come early. */
  #place({ command, outcome }: Applied, sessions: ReadonlySet<SessionState>): boolean {
    const { claimOf, acknowledge } = this.#ports;
    // After a gap it comes again.
    const early = command === undefined || outcome === "gap" ? undefined : this.#early.take(command);
    if (command === undefined || early === undefined) return false;
    const { operation, alone } = command;
    const { name, clients } = early;
    for (const clientId of alone?.had ?? []) claimOf(clientId)?.placed(undefined, name, true);
    for (const { clientId, queue } of sessions) {
      const ordinal = queue.nextOrdinal - 1;
      const claim = claimOf(clientId);
      // It may have changed for something that has become due with this command.
      const isHere = "message" in operation && queue.get(ordinal)?.message.topic === operation.message.topic;
      if (claim === undefined || !isHere) continue;
      if (clients.has(clientId)) acknowledge(claim, ordinal);
      claim.placed(ordinal, name, clients.has(clientId));
    }
    return true;
  }
}
