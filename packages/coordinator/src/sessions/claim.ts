/**
 * One connection's claim to its session: turns what the connection asks for into commands that name the claim.
 *
 * The claim is the number of its OPEN among the commands of this process, known as soon as it is proposed, so everything else may follow
 * without waiting for it: commands of one node are carried out in their order.
 *
 * Source: reference design, section 4.3 (rule 2).
 */

import type {
  ApplicationMessage,
  Completion,
  KeptSession,
  NodeId,
  SessionClaim,
  SessionHolder,
  SessionOpening,
  SubscriptionWish,
  WillFate,
} from "@skein/kernel";
import type { Operation } from "../state-machine/commands.ts";
import type { Claimed } from "../state-machine/sessions/session-commands.ts";

/** MQTT 5 "Unspecified error": the connection that asked is over. */
const UNSPECIFIED_ERROR = 0x80;

/** From OPEN until the log has carried it out, where nothing is in the way. */
const AT_ONCE_MS = 500;

export interface ClaimPorts {
  /** Monotonic, ms. */
  readonly now: () => number;
  /** Proposes a command of this node. Returns its number. */
  readonly propose: (operation: Operation, done: Completion | undefined) => number;
  /** Every member of the cluster knows messages that came with DUP. */
  readonly remembersRepeated: () => boolean;
  /** Calls `then` when every node in reach has applied what this one has. */
  readonly afterBarrier: (then: () => void) => void;
  readonly atTurnEnd: (task: () => void) => void;
  /** A message has been acknowledged. */
  readonly acknowledged: (claim: Claim, ordinal: number) => void;
  /** The client has a message that came early. */
  readonly acknowledgedEarly: (clientId: string, name: string) => void;
  /** The session of `claim` is held by it, as this replica knows. */
  readonly holds: (claim: Claim) => boolean;
  readonly view: KeptSession;
  /** The node that holds the session now, as this replica knows. */
  readonly ownerOf: (clientId: string) => NodeId | undefined;
  /** Its connection is about to be answered. */
  readonly opening: (claim: Claim) => void;
  /** Session Present. */
  readonly isPresent: (claim: Claim) => boolean;
  /** Nothing more comes of it. */
  readonly ended: (claim: Claim) => void;
}

export class Claim implements SessionClaim {
  readonly opening: SessionOpening;
  /** When it was made last, ms. */
  #madeAt = 0;
  #isMadeAgain = false;
  #named: Claimed;
  readonly #holder: SessionHolder;
  readonly #ports: ClaimPorts;
  /** The connection has been answered. */
  #isOpened = false;
  /** Its OPEN has been carried out. */
  #isCarriedOut = false;
  #isOver = false;

  constructor(opening: SessionOpening, holder: SessionHolder, ports: ClaimPorts) {
    this.opening = opening;
    this.#holder = holder;
    this.#ports = ports;
    this.#named = this.#make();
  }

  /** How its commands name it: by the number of its OPEN. */
  get named(): Claimed {
    return this.#named;
  }

  get clientId(): string {
    return this.opening.clientId;
  }

  subscribe(wishes: readonly SubscriptionWish[], done: Completion): number {
    return this.#proposeWithBarrier({ kind: "subscribe", ...this.named, wishes }, done);
  }

  unsubscribe(filters: readonly string[], done: Completion): number {
    return this.#proposeWithBarrier({ kind: "unsubscribe", ...this.named, filters }, done);
  }

  publish(message: ApplicationMessage, packetId: number, isRepeated: boolean, done: Completion): number {
    const once = { kind: "publishOnce", ...this.named, packetId, message } as const;
    return this.#propose({ ...once, isRepeated: isRepeated && this.#ports.remembersRepeated() }, done);
  }

  release(packetId: number, done: Completion): number {
    return this.#propose({ kind: "release", ...this.named, packetId }, done);
  }

  acknowledge(ordinal: number): void {
    if (!this.#isOver) this.#ports.acknowledged(this, ordinal);
  }

  acknowledgeEarly(name: string): void {
    this.#ports.acknowledgedEarly(this.clientId, name);
  }

  confirm(ordinal: number, done: Completion): number {
    return this.#propose({ kind: "confirm", ...this.named, ordinal }, done);
  }

  close(fate: WillFate, expirySeconds: number, sentThrough: number): void {
    if (this.#isOver) return;
    // Behind what it has acknowledged, which `ended` sends.
    this.#end();
    this.#ports.propose({ kind: "close", ...this.named, fate, expirySeconds, sentThrough }, undefined);
  }

  /**
   * Its OPEN has been carried out: it holds the session, or has been overtaken by a newer one. By the stamps one may count as newer that came before: this
   * node's time is behind that of a node whose entries it has not applied yet. An OPEN that went into the log at once was held back by nothing, so it is
   * made again, once, by the time that this node knows now; a client that is elsewhere since has ended this connection.
   */
  carriedOut(): void {
    if (this.#isOver) return;
    const wasHeldBack = this.#ports.now() - this.#madeAt > AT_ONCE_MS;
    if (!this.#ports.holds(this) && !this.#isOpened && !this.#isMadeAgain && !wasHeldBack) {
      this.#isMadeAgain = true;
      this.#named = this.#make();
      return;
    }
    this.#isCarriedOut = true;
    if (this.#ports.holds(this)) this.openNow();
    else this.changed();
  }

  #make(): Claimed {
    this.#madeAt = this.#ports.now();
    const { opening } = this;
    return { clientId: opening.clientId, claim: this.#ports.propose({ kind: "open", opening }, undefined) };
  }

  /** The connection is answered, with what this node has of the session. False: it has been, or is over. */
  openNow(): boolean {
    if (this.#isOver || this.#isOpened) return false;
    this.#isOpened = true;
    this.#ports.opening(this);
    this.#holder.opened(this.#ports.view, this.#ports.isPresent(this));
    return true;
  }

  /** Its session has changed. */
  changed(): void {
    if (this.#isOver || !this.#isCarriedOut) return;
    if (this.#ports.holds(this)) this.#holder.grown();
    else this.#lost();
  }

  /** A message that came early has got its place in the queue. */
  placed(ordinal: number | undefined, name: string, isHad: boolean): void {
    if (!this.#isOver && this.#isOpened) this.#holder.placed(ordinal, name, isHad);
  }

  #propose(operation: Operation, done: Completion): number {
    if (this.#isOver) this.#ports.atTurnEnd(() => done.settle(UNSPECIFIED_ERROR));
    else this.#ports.propose(operation, done);
    return 1;
  }

  #proposeWithBarrier(operation: Operation, done: Completion): number {
    return this.#propose(operation, {
      settle: (reasonCode) => {
        if (reasonCode >= UNSPECIFIED_ERROR) done.settle(reasonCode);
        else this.#ports.afterBarrier(() => done.settle(reasonCode));
      },
    });
  }

  #lost(): void {
    this.#end();
    this.#holder.lost(this.#ports.ownerOf(this.clientId));
  }

  #end(): void {
    this.#ports.ended(this);
    this.#isOver = true;
  }
}
