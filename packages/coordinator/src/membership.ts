/**
 * Who belongs to the cluster, as far as this node has a say: it asks the leader on its own behalf, passes on what others ask,
 * and as the leader does what is asked (governor.ts).
 */

import type { Clock, ClusterId, Log, MonotonicMs, NodeId } from "@skein/kernel";
import type { MemberHandlers } from "./control-traffic.ts";
import type { DiskFailures } from "./disk-failures.ts";
import type { Driver } from "./driver.ts";
import type { ControlFrame } from "./frames.ts";
import { Governor } from "./governor.ts";
import type { PeerView } from "./options.ts";
import { isLinkedIn } from "./peer-list.ts";
import { Resignation } from "./resignation.ts";

export interface MembershipPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Sends a frame of this node's cluster. */
  readonly sendMember: (to: NodeId, frame: (cluster: ClusterId) => ControlFrame) => void;
  /** Sends the bytes of a frame as they came. */
  readonly send: (to: NodeId, bytes: Uint8Array) => void;
  /** Undefined while this node is no member. */
  readonly driver: () => Driver | undefined;
  /** This node itself included. */
  readonly peers: () => readonly PeerView[];
}

export class Membership {
  readonly #self: NodeId;
  readonly #ports: MembershipPorts;
  readonly #governor: Governor;
  readonly #resignation: Resignation;
  /** Who led last, as far as this node knows. */
  #leader: NodeId | undefined;
  #transferredAt: MonotonicMs | undefined;
  /** For frames of this node's cluster. */
  readonly handlers: Pick<MemberHandlers, "join" | "joined" | "resign"> = {
    join: (from, { joiner }, bytes) => this.#joinAsked(from, joiner, bytes),
    joined: () => {},
    resign: (from) => this.#governor.resign(from),
  };

  /** `silenceMs`: a node not heard by Raft for this long is not counted on. */
  constructor(self: NodeId, silenceMs: number, failures: DiskFailures, ports: MembershipPorts) {
    this.#self = self;
    this.#ports = ports;
    this.#governor = new Governor(self, silenceMs, {
      ...ports,
      transferredAt: () => this.#transferredAt,
      sendJoined: (joiner) => ports.sendMember(joiner, (cluster) => ({ kind: "joined", cluster })),
    });
    this.#resignation = new Resignation(failures, { log: ports.log, ask: () => this.#resign() });
  }

  /** A few times a second. */
  tick(now: MonotonicMs): void {
    this.#govern(now);
    const driver = this.#ports.driver();
    if (driver?.leadership.leader !== undefined)
      this.#resignation.tick(now, driver.appliedConfiguration.voters.includes(this.#self));
  }

  /** Role, term or leader changed: what a leader was asked it does not know any more. */
  leadershipChanged(): void {
    const before = this.#leader;
    const leader = this.#ports.driver()?.leadership.leader as NodeId | undefined;
    this.#governor.reset();
    if (leader === undefined || leader === before) return;
    this.#leader = leader;
    // The one before is still there, so it has handed over: such changes are rationed (governor.ts).
    if (before === this.#self || isLinkedIn(this.#ports.peers(), before))
      this.#transferredAt = this.#ports.clock.monotonicMs();
  }

  #govern(now: MonotonicMs): void {
    const driver = this.#ports.driver();
    if (driver?.leadership.role !== "leader") return;
    this.#governor.govern(driver, this.#ports.peers(), now);
  }

  #joinAsked(from: NodeId, joiner: NodeId, bytes: Uint8Array): void {
    const leadership = this.#ports.driver()?.leadership;
    if (leadership?.role === "leader") {
      this.#governor.join(joiner);
      this.#govern(this.#ports.clock.monotonicMs());
    } else if (from === joiner && leadership?.leader !== undefined) {
      // Passed on once: only what comes from the joiner itself.
      this.#ports.send(leadership.leader as NodeId, bytes);
    }
  }

  /** The disk of this node is dying: the leader should let another one vote. */
  #resign(): void {
    const { driver, sendMember } = this.#ports;
    const leader = driver()?.leadership.leader as NodeId | undefined;
    if (leader === this.#self) this.#governor.resign(leader);
    else if (leader !== undefined) sendMember(leader, (cluster) => ({ kind: "resign", cluster }));
  }
}
