/**
 * One SUBSCRIBE whose SUBACK waits until every reachable node routes to us: the barrier of promise P4.
 *
 * If the mesh refuses, the whole SUBSCRIBE fails with its reason code and what it had added is taken back. An UNSUBSCRIBE waits only
 * where the mesh keeps the session.
 */

import { assert, type Completion } from "@skein/kernel";
import { isFailure } from "../codec/reason-codes.ts";
import type { Granted } from "../subscriptions/subscriptions.ts";

export class PendingSubscribe implements Completion {
  readonly packetId: number;
  readonly granted: Granted[] = [];
  /** Its number among those of its session (retained-replay.ts). */
  announced = 0;
  readonly #done: (pending: PendingSubscribe) => void;
  #waiting = 1;
  #refusal = 0;

  /** @param done called once, when all parts are settled; never from the constructor */
  constructor(packetId: number, done: (pending: PendingSubscribe) => void) {
    this.packetId = packetId;
    this.#done = done;
  }

  /** Adds the outcome for the next Topic Filter, and the parts it waits for. */
  add(granted: Granted): void {
    this.granted.push(granted);
    this.#waiting += granted.parts;
  }

  /** Adds parts to wait for. */
  expect(parts: number): void {
    this.#waiting += parts;
  }

  settle(reasonCode: number): void {
    assert(this.#waiting > 0, "a SUBSCRIBE was settled more often than announced");
    if (isFailure(reasonCode)) this.#refusal = reasonCode;
    if (--this.#waiting === 0) this.#done(this);
  }

  get isRefused(): boolean {
    return this.#refusal !== 0;
  }

  /** Why the first Topic Filter that was refused was; undefined: none was. */
  get cause(): string | undefined {
    if (this.isRefused) return "the mesh takes no subscriptions now";
    return this.granted.find(({ cause }) => cause !== undefined)?.cause;
  }

  /** For SUBACK: one code for each Topic Filter, in their order [MQTT-3.9.3-1]. */
  get codes(): number[] {
    return this.granted.map(({ code }) => (this.isRefused && !isFailure(code) ? this.#refusal : code));
  }
}

/** Who hears that an UNSUBSCRIBE is settled. */
interface Unsubscribed {
  unsubscribed(pending: PendingUnsubscribe): void;
}

export class PendingUnsubscribe implements Completion {
  readonly packetId: number;
  readonly codes: readonly number[];
  /** The worst that was heard. */
  reasonCode = 0;
  readonly #owner: Unsubscribed;
  #waiting = 1;

  constructor(packetId: number, codes: readonly number[], owner: Unsubscribed) {
    this.packetId = packetId;
    this.codes = codes;
    this.#owner = owner;
  }

  expect(parts: number): void {
    this.#waiting += parts;
  }

  settle(reasonCode: number): void {
    assert(this.#waiting > 0, "an UNSUBSCRIBE was settled more often than announced");
    this.reasonCode = Math.max(this.reasonCode, reasonCode);
    if (--this.#waiting === 0) this.#owner.unsubscribed(this);
  }
}
