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
  MonotonicMs,
  NodeId,
  SessionClaim,
  SessionHolder,
  SessionOpening,
  SessionStore,
} from "@skein/kernel";
import type { ControlFrame } from "../frames.ts";
import type { Stamp } from "../hybrid-clock.ts";
import type { Identity, PeerView } from "../options.ts";
import type { Proposals } from "../proposals/proposals.ts";
import type { Driver } from "../replica/driver.ts";
import type { LeaderContact } from "../replica/leader-contact.ts";
import type { Applied } from "../state-machine/applied.ts";
import { encodeClusterCommand } from "../state-machine/cluster-commands.ts";
import type { Command } from "../state-machine/commands.ts";
import { askedBy, type RecentPublication } from "../state-machine/recent-publications.ts";
import type { SurplusSessions } from "../state-machine/sessions/ended-sessions.ts";
import type { PassedSessions } from "../state-machine/sessions/passed-sessions.ts";
import type { Publication } from "../state-machine/sessions/publishing-port.ts";
import type { SessionState } from "../state-machine/sessions/session-state.ts";
import type { StateMachine } from "../state-machine/state-machine.ts";
import type { StoreLimits } from "../state-machine/store-limits.ts";
import { AcknowledgementBatch } from "./acknowledgement-batch.ts";
import { ApplyBarrier } from "./apply-barrier.ts";
import { Claim } from "./claim.ts";
import { type Early, EarlyExchange } from "./early-exchange.ts";
import { HeldBefore } from "./held-before.ts";
import { KeptView } from "./kept-view.ts";
import { Newcomers } from "./newcomers.ts";
import { OutboxBarrier } from "./outbox-barrier.ts";
import { OwnLimit } from "./own-limit.ts";
import { SessionClock } from "./session-clock.ts";
import { SessionDuties } from "./session-duties.ts";

/** After a leader is back: by then what was subscribed without one has come through the log. */
const WISHES_KEPT_MS = 10_000;
const NOBODY: ReadonlySet<SessionState> = new Set();
const NO_DRIVER: Pick<Driver, "leadership" | "applied"> = {
  leadership: { role: "follower", term: 0, leader: undefined },
  applied: { index: 0, term: 0 },
};

/** A message that the log publishes to the live subscribers of every node. */
export type FromLog = (publication: Publication, isFirstHand: boolean) => void;

export interface SessionsPorts {
  readonly clock: Clock;
  /** Undefined while this node is no member. */
  readonly driver: () => Driver | undefined;
  /** The other nodes of this cluster. */
  readonly peers: () => readonly PeerView[];
  /** All other nodes. */
  readonly everyPeer: () => readonly PeerView[];
  /** What time it is in the cluster. */
  readonly time: () => Stamp;
  readonly hasQuorum: () => boolean;
  readonly contact: Pick<LeaderContact, "isCaughtUp">;
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
  /** What time it is for sessions and retained messages. */
  readonly time: SessionClock;
  readonly #claims = new Map<string, Claim>();
  readonly #acknowledged: AcknowledgementBatch;
  readonly #duties: SessionDuties;
  readonly barrier: ApplyBarrier;
  readonly outboxes: OutboxBarrier;
  /** What goes on without a quorum. */
  readonly early: EarlyExchange;
  readonly #newcomers: Newcomers;
  #ledSince = 0;
  readonly #ownLimit: OwnLimit;
  readonly #heldBefore: HeldBefore;

  constructor(self: Identity, machine: StateMachine, proposals: Proposals, ports: SessionsPorts) {
    const { clock, driver, sendMember } = ports;
    this.#self = self;
    this.#machine = machine;
    this.#proposals = proposals;
    this.#ports = ports;
    this.time = new SessionClock(clock, machine);
    this.#acknowledged = new AcknowledgementBatch(clock, (sessions) =>
      this.#proposals.propose({ kind: "acknowledge", sessions }, undefined, true),
    );
    this.#duties = new SessionDuties(machine, {
      ...ports,
      node: self.node,
      propose: (command) => void driver()?.propose([encodeClusterCommand(command)]),
    });
    this.#newcomers = new Newcomers(ports);
    this.early = new EarlyExchange(self, machine, proposals, {
      ...ports,
      newcomers: this.#newcomers,
      claimOf: (clientId) => this.#claims.get(clientId),
      acknowledge: ({ named }, ordinal) => this.#acknowledged.add(named, ordinal),
    });
    this.#heldBefore = new HeldBefore(self, machine, proposals);
    this.#ownLimit = new OwnLimit(self.node, ports.owedBytesMax, machine, proposals);
    this.barrier = new ApplyBarrier({
      ...ports,
      appliedIndex: () => driver()?.applied.index ?? 0,
      ask: (to, index) => sendMember(to, (cluster) => ({ kind: "reach", cluster, index })),
      answer: (to, index) => sendMember(to, (cluster) => ({ kind: "reached", cluster, index })),
    });
    this.outboxes = new OutboxBarrier({
      ...ports,
      ask: (to, request) => {
        // Who has no leader would hear of one within a second, and it is that long that a client waits.
        driver()?.step({ kind: "reachable", server: to });
        sendMember(to, (cluster) => ({ kind: "outbox", cluster, request }));
      },
      answer: (to, request) => sendMember(to, (cluster) => ({ kind: "written", cluster, request })),
      proposedSeq: () => {
        this.#acknowledged.flush();
        return proposals.proposedSeq;
      },
      isWritten: (seq) => proposals.isWritten(seq),
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

  /** Sessions that the mesh has ended because there were too many without a connection, since the process began. */
  get surplus(): SurplusSessions {
    return this.#machine.sessions.ended.surplus;
  }

  get expired(): number {
    return this.#machine.sessions.ended.expired;
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

  afterOutboxes(then: () => void): void {
    this.outboxes.wait(then);
  }

  open(opening: SessionOpening, holder: SessionHolder): SessionClaim {
    const { clientId } = opening;
    const claim = new Claim(opening, holder, {
      now: () => this.#ports.clock.monotonicMs(),
      propose: (operation, done) => {
        this.#proposals.propose(operation, done, true);
        return this.#proposals.proposedSeq;
      },
      remembersRepeated: () => this.#machine.remembersRepeated,
      afterBarrier: (then) => this.barrier.wait(then),
      atTurnEnd: (task) => this.#ports.clock.atTurnEnd(task),
      acknowledged: (acknowledged, ordinal) => this.#acknowledged.add(acknowledged.named, ordinal),
      holds: ({ named }) => this.#holds(clientId, named.claim),
      view: new KeptView(clientId, this.#machine, this.early.said, this.time),
      acknowledgedEarly: (id, name) => this.early.had(id, name),
      ownerOf: (id) => this.#machine.sessions.get(id)?.owner?.node,
      opening: (opened) => this.#sayAgain(opened),
      isPresent: (held) => this.#isPresent(held),
      ended: (ended) => this.#ended(ended),
    });
    this.#claims.set(clientId, claim);
    return claim;
  }

  /**
   * Before an entry of the leader's term has come here, and what was committed while this node heard nothing, it may not know what others
   * have subscribed to: then the log decides.
   */
  wants(topic: string): boolean {
    const { leader } = (this.#ports.driver() ?? NO_DRIVER).leadership;
    if (leader !== undefined && !this.#isCurrentAt(this.#appliedIndex)) return true;
    return this.#machine.sessions.wants(topic) || this.early.wants(topic);
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

  /** Another node tells something while this one has no replica. False: it has one, of another cluster. */
  heardWithoutReplica(hear: (early: EarlyExchange) => void): boolean {
    if (this.#ports.driver() !== undefined) return false;
    hear(this.early);
    return true;
  }

  /** A command went through the state machine. */
  applied(applied: Applied): void {
    const { command, clusterCommand, publications = [], sessions = NOBODY } = applied;
    this.time.observe();
    this.#lookWhetherFilled(this.#appliedIndex - 1, command);
    this.barrier.applied();
    const by = askedBy(applied);
    if (clusterCommand?.kind === "tick" || clusterCommand?.kind === "nodeDown") this.#duties.carriedOut();
    const isFirstHand = by === undefined ? this.#isLeader : by === this.#self.node;
    if (by === this.#self.node && hasLackedRoom(applied)) this.#ports.messageRefused?.();
    const isEarly = this.early.applied(applied, sessions);
    for (const publication of publications) {
      // A will that has become due with this command is another message.
      const isOwn =
        command !== undefined &&
        "message" in command.operation &&
        command.operation.message === publication.message;
      const from = { index: this.#appliedIndex, publication, command: isOwn ? command : undefined };
      this.#handOut(from, isFirstHand, isEarly);
    }
    if (command?.operation.kind === "open") this.#carriedOut(command.operation.opening.clientId);
    for (const { clientId } of sessions) this.#claims.get(clientId)?.changed();
    // Not before it is known which of its messages have come early.
    this.outboxes.applied();
  }

  /**
   * The state machine, which had applied the log up to `before`, was replaced by a snapshot: anything may have changed. What the log has
   * published meanwhile goes to live subscribers now.
   */
  restored(before: number): void {
    this.barrier.applied();
    this.outboxes.applied();
    this.early.restored();
    const { recent, sessions } = this.#machine;
    for (const published of recent.behind(before, sessions.time.elapsed))
      this.#handOut(published, published.by === this.#self.node, this.early.take(published.command));
    for (const clientId of [...this.#claims.keys()]) {
      this.#carriedOut(clientId);
      this.#claims.get(clientId)?.changed();
    }
    this.#lookWhetherFilled(this.#appliedIndex);
  }

  /** A few times a second. */
  tick(now: MonotonicMs): void {
    this.barrier.tick(now);
    this.outboxes.tick(now);
    if (this.#ports.driver()?.leadership.leader !== undefined) this.#heldBefore.leave();
    this.#ownLimit.tick(this.#ports.driver());
    this.#newcomers.tick(now);
    this.early.tick();
    this.#lookWhetherFilled(this.#appliedIndex);
    if (this.#ports.driver() === undefined) this.early.isWithoutReplica();
    if (this.#ports.driver()?.leadership.leader === undefined) this.#ledSince = now;
    else if (now - this.#ledSince >= WISHES_KEPT_MS) this.early.wantNothing();
    if (this.#isLeader) this.#duties.tick(now);
    else this.#duties.rest();
  }

  /** This node stops: what its clients have acknowledged goes into the log now. */
  flush(): void {
    this.#acknowledged.flush();
  }

  /** To live subscribers. `isEarly`: they have the message of that command. */
  #handOut(
    { index, publication, command }: Omit<RecentPublication, "by">,
    isFirstHand: boolean,
    isEarly: boolean,
  ): void {
    const will = { index, ...publication };
    const hasCome = command === undefined ? this.early.takeWill(will) : isEarly;
    const isForNobody = (this.early.isFilling && !isFirstHand) || hasCome;
    if (!isForNobody) this.#ports.publishFromLog?.(publication, isFirstHand);
    if (!isFirstHand) return;
    if (command === undefined) this.early.publishedWill(will);
    else this.early.published(command);
  }

  /** Whether the replica had, when it had applied the log up to `index`, all that was committed before this node heard the leader. */
  #isCurrentAt(index: number): boolean {
    const { leadership, applied } = this.#ports.driver() ?? NO_DRIVER;
    const { leader, role, term } = leadership;
    if (leader === undefined || applied.term !== term) return false;
    return role === "leader" || this.#ports.contact.isCaughtUp(index);
  }

  /** The replica has applied the log up to `index`; and one command more, `next`. */
  #lookWhetherFilled(index: number, next?: Command): void {
    if (this.early.isFilling && this.#isCurrentAt(index)) this.early.filled(index, next?.envelope);
  }

  get #appliedIndex(): number {
    return (this.#ports.driver() ?? NO_DRIVER).applied.index;
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

  /** What its client has said on an earlier connection without a quorum counts for this claim, too. */
  #sayAgain({ clientId, named }: Claim): void {
    for (const [ordinal, state] of this.early.said.of(clientId)) {
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
