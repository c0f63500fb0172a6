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
import type { Driver } from "../driver.ts";
import type { ControlFrame } from "../frames.ts";
import type { Stamp } from "../hybrid-clock.ts";
import type { Identity, PeerView } from "../options.ts";
import type { Proposals } from "../proposals.ts";
import { encodeClusterCommand } from "../state-machine/cluster-commands.ts";
import type { Applied, StateMachine } from "../state-machine/state-machine.ts";
import { AcknowledgementBatch } from "./acknowledgement-batch.ts";
import { ApplyBarrier } from "./apply-barrier.ts";
import { Claim } from "./claim.ts";
import { KeptView } from "./kept-view.ts";
import { SessionDuties } from "./session-duties.ts";

/** A message that the log publishes to the live subscribers of every node. `publisher`: the Client Identifier of its session. */
export type FromLog = (message: ApplicationMessage, publisher: string, isFirstHand: boolean) => void;

export interface SessionsPorts {
  readonly clock: Clock;
  /** Undefined while this node is no member. */
  readonly driver: () => Driver | undefined;
  /** The other nodes of this cluster. */
  readonly peers: () => readonly PeerView[];
  /** What time it is in the cluster. */
  readonly time: () => Stamp;
  readonly sendMember: (to: NodeId, frame: (cluster: ClusterId) => ControlFrame) => void;
  readonly publishFromLog?: FromLog | undefined;
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
    this.barrier = new ApplyBarrier({
      ...ports,
      appliedIndex: () => driver()?.applied.index ?? 0,
      ask: (to, index) => sendMember(to, (cluster) => ({ kind: "reach", cluster, index })),
      answer: (to, index) => sendMember(to, (cluster) => ({ kind: "reached", cluster, index })),
    });
  }

  get count(): number {
    return this.#machine.sessions.count;
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
      view: new KeptView(clientId, this.#machine, this.#ports.time),
      isPresent: () => this.#machine.sessions.get(clientId)?.isPresent === true,
      ended: (ended) => this.#ended(ended),
    });
    this.#claims.set(clientId, claim);
    return claim;
  }

  wants(topic: string): boolean {
    return this.#machine.sessions.wants(topic);
  }

  publish(message: ApplicationMessage, publisher: string | undefined, done: Completion | undefined): number {
    return this.#proposals.propose({ kind: "publish", publisher, message }, done);
  }

  /** A command went through the state machine. */
  applied({ command, clusterCommand, publications = [], sessions }: Applied): void {
    this.barrier.applied();
    const by =
      command?.envelope.node ?? (clusterCommand?.kind === "nodeDown" ? clusterCommand.by : undefined);
    const isFirstHand = by === undefined ? this.#isLeader : by === this.#self.node;
    for (const { message, publisher } of publications)
      this.#ports.publishFromLog?.(message, publisher, isFirstHand);
    if (sessions === undefined) return;
    for (const { clientId } of sessions) this.#claims.get(clientId)?.changed();
  }

  /** The state machine was replaced by a snapshot: anything may have changed. */
  restored(): void {
    this.barrier.applied();
    for (const claim of [...this.#claims.values()]) claim.changed();
  }

  /** The replica is open: what an earlier process of this node held is left to be claimed again. */
  begin(): void {
    const { node, incarnation } = this.#self;
    for (const { owner } of this.#machine.sessions.all()) {
      if (owner?.node !== node || owner.incarnation >= incarnation) continue;
      this.#proposals.propose({ kind: "nodeUp" }, undefined, true);
      return;
    }
  }

  /** A few times a second. */
  tick(now: MonotonicMs): void {
    this.barrier.tick(now);
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

  #holds(clientId: string, claim: number): boolean {
    const { node, incarnation } = this.#self;
    return this.#machine.sessions.get(clientId)?.isHeldBy({ node, incarnation, claim }) === true;
  }

  #ended(claim: Claim): void {
    if (this.#acknowledged.has(claim.named)) this.#acknowledged.flush();
    if (this.#claims.get(claim.clientId) === claim) this.#claims.delete(claim.clientId);
  }
}
