/**
 * The sessions of the mesh as the broker of this node claims and uses them: commands into the log, and what comes back from it.
 *
 * A claim is found again by Client Identifier when its session has changed in the replica. Everything goes through this node's own
 * sequence of commands (proposals.ts), so what a connection asks for is carried out in its order, once.
 *
 * Source: architecture.md section 5; reference design, section 4.3.
 */

import type {
  ApplicationMessage,
  Clock,
  ClusterId,
  Completion,
  Incarnation,
  MonotonicMs,
  NodeId,
  SessionClaim,
  SessionHolder,
  SessionOpening,
  SessionStore,
} from "@skein/kernel";
import type { Driver } from "../driver.ts";
import { batchFrom, type ControlFrame } from "../frames.ts";
import type { Stamp } from "../hybrid-clock.ts";
import type { Identity, PeerView } from "../options.ts";
import type { Proposals, Released } from "../proposals.ts";
import { encodeClusterCommand } from "../state-machine/cluster-commands.ts";
import { type Command, decodeCommand, type Operation } from "../state-machine/commands.ts";
import type { PassedSessions } from "../state-machine/sessions/passed-sessions.ts";
import type { Publication } from "../state-machine/sessions/publishing-port.ts";
import type { SessionState } from "../state-machine/sessions/session-state.ts";
import type { Applied, StateMachine } from "../state-machine/state-machine.ts";
import type { StoreLimits } from "../state-machine/store-limits.ts";
import { AcknowledgementBatch } from "./acknowledgement-batch.ts";
import { ApplyBarrier } from "./apply-barrier.ts";
import { Claim } from "./claim.ts";
import { EarlyAcknowledgements } from "./early-acknowledgements.ts";
import { EarlyMessages, envelopeOf, nameOf } from "./early-messages.ts";
import { HeldBefore } from "./held-before.ts";
import { KeptView } from "./kept-view.ts";
import { OwnLimit } from "./own-limit.ts";
import { SessionDuties } from "./session-duties.ts";

/** After a leader is back: by then what was subscribed without one has come through the log. */
const WISHES_KEPT_MS = 10_000;
/** What others must hear of before the log has it. */
const EARLY_KINDS: ReadonlySet<Operation["kind"]> = new Set(["publish", "publishOnce", "subscribe"]);
const NOBODY: ReadonlySet<SessionState> = new Set();
const NO_DRIVER: Pick<Driver, "leadership" | "applied"> = {
  leadership: { role: "follower", term: 0, leader: undefined },
  applied: { index: 0, term: 0 },
};

/** A message that the log publishes to the live subscribers of every node. */
export type FromLog = (publication: Publication, isFirstHand: boolean) => void;

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

export interface SessionsPorts {
  readonly clock: Clock;
  /** Undefined while this node is no member. */
  readonly driver: () => Driver | undefined;
  /** The other nodes of this cluster. */
  readonly peers: () => readonly PeerView[];
  /** What time it is in the cluster. */
  readonly time: () => Stamp;
  readonly hasQuorum: () => boolean;
  readonly sendMember: (to: NodeId, frame: (cluster: ClusterId) => ControlFrame) => void;
  readonly publishFromLog?: FromLog | undefined;
  readonly publishEarly?: Early | undefined;
  readonly messageRefused?: (() => void) | undefined;
  /** Bytes of owed messages that this node has room for; undefined: as many as the others. */
  readonly owedBytesMax?: number | undefined;
}

export class Sessions implements SessionStore {
  readonly #self: Identity;
  readonly #machine: StateMachine;
  readonly #proposals: Proposals;
  readonly #ports: SessionsPorts;
  readonly #claims = new Map<string, Claim>();
  readonly #acknowledged: AcknowledgementBatch;
  readonly #duties: SessionDuties;
  readonly barrier: ApplyBarrier;
  readonly #early = new EarlyMessages();
  readonly #said = new EarlyAcknowledgements();
  /** What clients have said to earlier runs of this node is known, too. */
  #hasInherited = false;
  #ledSince = 0;
  readonly #ownLimit: OwnLimit;
  readonly #heldBefore: HeldBefore;

  constructor(self: Identity, machine: StateMachine, proposals: Proposals, ports: SessionsPorts) {
    const { clock, driver, sendMember } = ports;
    this.#self = self;
    this.#machine = machine;
    this.#proposals = proposals;
    this.#ports = ports;
    this.#acknowledged = new AcknowledgementBatch(clock, (sessions) =>
      this.#proposals.propose({ kind: "acknowledge", sessions }, undefined, true),
    );
    this.#duties = new SessionDuties(machine, {
      ...ports,
      node: self.node,
      propose: (command) => void driver()?.propose([encodeClusterCommand(command)]),
    });
    this.#heldBefore = new HeldBefore(self, machine, proposals);
    this.#ownLimit = new OwnLimit(self.node, ports.owedBytesMax, machine, proposals);
    this.barrier = new ApplyBarrier({
      ...ports,
      appliedIndex: () => driver()?.applied.index ?? 0,
      ask: (to, index) => sendMember(to, (cluster) => ({ kind: "reach", cluster, index })),
      answer: (to, index) => sendMember(to, (cluster) => ({ kind: "reached", cluster, index })),
    });
  }

  /** Looks at each. */
  get count(): number {
    let count = 0;
    for (const { isKept } of this.#machine.sessions.all()) if (isKept) count++;
    return count;
  }

  /** Sessions that messages passed by for want of room, since the process began. */
  get passed(): Pick<PassedSessions, "byClient" | "inAll"> {
    return this.#machine.sessions.passed;
  }

  /** What a client is owed; undefined: it has no session. */
  owedTo(clientId: string): { readonly messages: number; readonly isConnected: boolean } | undefined {
    const session = this.#machine.sessions.get(clientId);
    return session && { messages: session.queue.length, isConnected: session.owner !== undefined };
  }

  /** How much may be owed to all of them together. */
  get limits(): Pick<StoreLimits, "owedBytesMax" | "tightest"> {
    return this.#machine.limits;
  }

  has(clientId: string): boolean {
    return this.#claims.has(clientId) || this.#machine.sessions.get(clientId) !== undefined;
  }

  /** Others must know whom they lose: in a mesh of one nobody else can take a session over. */
  get claimsEveryClient(): boolean {
    return this.#ports.peers().length > 0;
  }

  open(opening: SessionOpening, holder: SessionHolder): SessionClaim {
    const { clientId } = opening;
    const claim = new Claim(opening, holder, {
      propose: (operation, done) => {
        this.#proposals.propose(operation, done, true);
        return this.#proposals.proposedSeq;
      },
      afterBarrier: (then) => this.barrier.wait(then),
      atTurnEnd: (task) => this.#ports.clock.atTurnEnd(task),
      acknowledged: (acknowledged, ordinal) => this.#acknowledged.add(acknowledged.named, ordinal),
      holds: ({ named }) => this.#holds(clientId, named.claim),
      view: new KeptView(clientId, this.#machine, this.#said, this.#ports.time),
      acknowledgedEarly: (id, name) => this.#hadEarly(id, name),
      ownerOf: (id) => this.#machine.sessions.get(id)?.owner?.node,
      opening: (opened) => this.#sayAgain(opened),
      isPresent: (held) => this.#isPresent(held),
      ended: (ended) => this.#ended(ended),
    });
    this.#claims.set(clientId, claim);
    return claim;
  }

  /** Before an entry of the leader's term has come here this node may not know what others have subscribed to: then the log decides. */
  wants(topic: string): boolean {
    const { leadership, applied } = this.#ports.driver() ?? NO_DRIVER;
    if (leadership.leader !== undefined && applied.term !== leadership.term) return true;
    return this.#machine.sessions.wants(topic) || this.#early.isWanted(topic);
  }

  publish(
    message: ApplicationMessage,
    publisher: string | undefined,
    served: readonly string[],
    done: Completion | undefined,
  ): number {
    return this.#proposals.propose({ kind: "publish", publisher, served, message }, done);
  }

  deals(sharedFilter: string): boolean {
    return this.#machine.sessions.routes.isAttended(sharedFilter);
  }

  deal(sharedFilter: string, message: ApplicationMessage, done: Completion | undefined): number {
    if (!this.#machine.sessions.routes.isDealt(sharedFilter)) return 0;
    return this.#proposals.propose({ kind: "deal", sharedFilter, message }, done);
  }

  /** A command went through the state machine. */
  applied(applied: Applied): void {
    const { command, clusterCommand, publications = [], sessions = NOBODY } = applied;
    this.barrier.applied();
    const by =
      command?.envelope.node ?? (clusterCommand?.kind === "nodeDown" ? clusterCommand.by : undefined);
    if (clusterCommand?.kind === "tick" || clusterCommand?.kind === "nodeDown") this.#duties.carriedOut();
    const isFirstHand = by === undefined ? this.#isLeader : by === this.#self.node;
    if (by === this.#self.node && hasLackedRoom(applied)) this.#ports.messageRefused?.();
    const isEarly = !this.#early.isEmpty && this.#place(applied, sessions);
    for (const publication of publications) {
      // A will that has become due with this command is another message.
      const isOwn =
        command !== undefined &&
        "message" in command.operation &&
        command.operation.message === publication.message;
      if (!isEarly || !isOwn) this.#ports.publishFromLog?.(publication, isFirstHand);
    }
    if (!this.#said.isEmpty && command !== undefined)
      this.#said.applied(command.operation, this.#machine.sessions);
    if (command?.operation.kind === "open") this.#carriedOut(command.operation.opening.clientId);
    for (const { clientId } of sessions) this.#claims.get(clientId)?.changed();
  }

  /** The state machine was replaced by a snapshot: anything may have changed. */
  restored(): void {
    this.barrier.applied();
    this.#said.clear();
    for (const clientId of [...this.#claims.keys()]) {
      this.#carriedOut(clientId);
      this.#claims.get(clientId)?.changed();
    }
  }

  /** Without a quorum these commands of this node count from now on: whoever is in reach gets what they say. */
  released(commands: readonly Released[]): void {
    const said = commands.filter(({ operation: { kind } }) => EARLY_KINDS.has(kind));
    if (!this.#hasInherited) for (const operation of this.#proposals.inherited()) this.#said.take(operation);
    this.#hasInherited = true;
    for (const { operation } of commands) {
      this.#said.take(operation);
      if (operation.kind === "open") this.#openNow(operation.opening.clientId);
    }
    for (const { bytes } of said) this.#handOver(decodeCommand(bytes));
    for (let at = 0; at < said.length; ) {
      const batch = batchFrom(said, at);
      at += batch.length;
      for (const { id, isLinked } of this.#ports.peers())
        if (isLinked) this.#ports.sendMember(id, (cluster) => ({ kind: "early", cluster, commands: batch }));
    }
  }

  /**
   * `from` says what counts for it without a quorum. Where there is one the log will bring its messages, and the older ones that were not
   * told here with them. @throws {SkeinError} ERR_SKEIN_MALFORMED
   */
  heardEarly(from: NodeId, commands: readonly Uint8Array[]): void {
    const hasQuorum = this.#ports.hasQuorum();
    for (const bytes of commands) {
      const command = decodeCommand(bytes);
      if (command.envelope.node !== from) continue;
      if (!hasQuorum || command.operation.kind === "subscribe") this.#handOver(command);
    }
  }

  /** A client, here or on another node, has the message of command `seq` of this node, which the log does not have yet. */
  heardHad(incarnation: Incarnation, seq: number, clientId: string): void {
    if (incarnation === this.#self.incarnation) this.#proposals.had(seq, clientId);
  }

  /** A few times a second. */
  tick(now: MonotonicMs): void {
    this.barrier.tick(now);
    if (this.#ports.driver()?.leadership.leader !== undefined) this.#heldBefore.leave();
    this.#ownLimit.tick(this.#ports.driver());
    if (this.#ports.driver()?.leadership.leader === undefined) this.#ledSince = now;
    else if (now - this.#ledSince >= WISHES_KEPT_MS) this.#early.wantNothing();
    if (this.#isLeader) this.#duties.tick(now);
    else this.#duties.rest();
  }

  /** This node stops: what its clients have acknowledged goes into the log now. */
  flush(): void {
    this.#acknowledged.flush();
  }

  get #isLeader(): boolean {
    return this.#ports.driver()?.leadership.role === "leader";
  }

  /** This node's claim may have been carried out. */
  #carriedOut(clientId: string): void {
    const claim = this.#claims.get(clientId);
    const { node, incarnation } = this.#self;
    if (claim !== undefined && this.#machine.sequencer.last(node, incarnation) >= claim.named.claim)
      claim.carriedOut();
  }

  /** As the log has it; of a claim that is not in it yet, what this node knows. */
  #isPresent({ opening: { clientId, cleanStart }, named: { claim } }: Claim): boolean {
    const session = this.#machine.sessions.get(clientId);
    if (this.#holds(clientId, claim)) return session?.isPresent === true;
    return session?.isKept === true && !cleanStart;
  }

  /** A message that comes before the log has it. */
  #handOver(command: Command): void {
    const { envelope, operation } = command;
    if (operation.kind === "subscribe") this.#early.want(operation.wishes);
    if (operation.kind !== "publish" && operation.kind !== "publishOnce") return;
    if (this.#machine.sequencer.last(envelope.node, envelope.incarnation) >= envelope.seq) return;
    if (this.#early.add(command, envelope.node === this.#self.node)) this.#publishEarly(command);
  }

  #publishEarly({ envelope, operation }: Command, onlyFor?: string): void {
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
    if (this.#claims.get(clientId)?.openNow() !== true) return;
    if (this.#ports.peers().some(({ isLinked }) => isLinked)) return;
    for (const command of this.#early.keptFor(clientId)) this.#publishEarly(command, clientId);
  }

  /** The log has brought it. False: it did not come early. */
  #place({ command, outcome }: Applied, sessions: ReadonlySet<SessionState>): boolean {
    // After a gap it comes again.
    const early = command === undefined || outcome === "gap" ? undefined : this.#early.take(command);
    if (command === undefined || early === undefined) return false;
    const { operation, alone } = command;
    const { name, clients } = early;
    for (const clientId of alone?.had ?? []) this.#claims.get(clientId)?.placed(undefined, name, true);
    for (const { clientId, queue } of sessions) {
      const ordinal = queue.nextOrdinal - 1;
      const claim = this.#claims.get(clientId);
      // It may have changed for something that has become due with this command.
      const isHere = "message" in operation && queue.get(ordinal)?.message.topic === operation.message.topic;
      if (claim === undefined || !isHere) continue;
      if (clients.has(clientId)) this.#acknowledged.add(claim.named, ordinal);
      claim.placed(ordinal, name, clients.has(clientId));
    }
    return true;
  }

  /** A client has a message that the log does not have yet: whoever has its command in the outbox lets that say so. */
  #hadEarly(clientId: string, name: string): void {
    this.#early.had(name, clientId);
    const { node, incarnation, seq } = envelopeOf(name);
    if (node === this.#self.node) this.heardHad(incarnation, seq, clientId);
    else this.#ports.sendMember(node, (cluster) => ({ kind: "had", cluster, incarnation, seq, clientId }));
  }

  /** What its client has said on an earlier connection without a quorum counts for this claim, too. */
  #sayAgain({ clientId, named }: Claim): void {
    for (const [ordinal, state] of this.#said.of(clientId)) {
      if (state === "had") this.#acknowledged.add(named, ordinal);
      else this.#proposals.propose({ kind: "confirm", ...named, ordinal }, undefined, true);
    }
  }

  #holds(clientId: string, claim: number): boolean {
    const { node, incarnation } = this.#self;
    return this.#machine.sessions.get(clientId)?.isHeldBy({ node, incarnation, claim }) === true;
  }

  #ended(claim: Claim): void {
    if (this.#acknowledged.has(claim.named)) this.#acknowledged.flush();
    if (this.#claims.get(claim.clientId) === claim) this.#claims.delete(claim.clientId);
  }
}

/** A message that a client has published was not taken, or passed sessions by. */
function hasLackedRoom({ outcome, command }: Applied): boolean {
  const kind = command?.operation.kind;
  return (outcome === "full" || outcome === "passed") && (kind === "publish" || kind === "publishOnce");
}
