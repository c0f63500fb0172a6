/**
 * The sessions of a broker that keeps them in its own memory: found by Client Identifier, taken over, resumed, expired.
 *
 * One Client Identifier has one session and at most one connection; the newer connection wins. A session without a
 * connection waits on the wheel for its will and its expiry. The number of such sessions is bounded: the one longest
 * without a connection is ended when there are too many.
 *
 * Source: MQTT 5 sections 3.1.2.4 (Clean Start), 3.1.2.5 (will), 3.1.4 (takeover), 4.1 (session state).
 */

import type { MonotonicMs, WillFate } from "@skein/kernel";
import type { Admission } from "../connection/connecting.ts";
import { DeadlineWheel } from "../deadline-wheel.ts";
import { Session } from "./session.ts";
import type { Entrant, KeeperPorts, SessionKeeper } from "./session-keeper.ts";

export interface SessionsPorts extends KeeperPorts {
  /** Publishes the will of `session`. */
  publishWill(session: Session): void;
}

/** When a session without a connection publishes its will and ends. */
interface Absence {
  readonly willAt: number;
  readonly expiresAt: number;
}

export class Sessions implements SessionKeeper {
  readonly #ports: SessionsPorts;
  readonly #byClientId = new Map<string, Session>();
  /** Sessions without a connection, the one longest without first. */
  readonly #absent = new Map<Session, Absence>();
  readonly #wheel: DeadlineWheel<Session>;

  constructor(ports: SessionsPorts) {
    this.#ports = ports;
    this.#wheel = new DeadlineWheel(ports.clock.monotonicMs(), (session, now) => this.#due(session, now));
  }

  get size(): number {
    return this.#byClientId.size;
  }

  get queued(): number {
    let queued = 0;
    for (const session of this.#byClientId.values()) queued += session.queued;
    return queued;
  }

  get queuedBytes(): number {
    let bytes = 0;
    for (const session of this.#byClientId.values()) bytes += session.queuedBytes;
    return bytes;
  }

  has(clientId: string): boolean {
    return this.#byClientId.has(clientId);
  }

  find(clientId: string): Session | undefined {
    return this.#byClientId.get(clientId);
  }

  open(admission: Admission, connection: Entrant): void {
    const { clientId, cleanStart, expirySeconds, will } = admission;
    const older = this.#byClientId.get(clientId);
    if (older?.outlet !== undefined) {
      this.#ports.counters.sessionsTakenOver++;
      older.outlet.takenOver(connection.remoteAddress);
    }
    const { session, isPresent } = this.#resume(clientId, cleanStart);
    session.expirySeconds = expirySeconds;
    session.will = will;
    connection.connected(session, isPresent, admission);
  }

  #resume(clientId: string, cleanStart: boolean): { readonly session: Session; readonly isPresent: boolean } {
    // The takeover may have ended it: a session with expiry 0 ends with its connection.
    const known = this.#byClientId.get(clientId);
    if (known !== undefined && cleanStart)
      this.#end(known); // [MQTT-3.1.2-4]
    else if (known !== undefined) {
      known.will = undefined; // [MQTT-3.1.3-9]: back before its will was due
      this.#absent.delete(known);
      this.#wheel.delete(known);
      return { session: known, isPresent: true }; // [MQTT-3.1.2-5]
    }
    const session = new Session(clientId, this.#ports); // [MQTT-3.1.2-6]
    this.#byClientId.set(clientId, session);
    return { session, isPresent: false };
  }

  /** A will that is deferred would be published by nobody but this node, which is about to go. */
  detach(session: Session, fate: WillFate): void {
    session.outlet = undefined;
    if (fate !== "publish") session.will = undefined;
    const delaySeconds = session.will?.delaySeconds ?? 0;
    if (session.will !== undefined && delaySeconds === 0) this.#publishWill(session);
    if (session.expirySeconds === 0) {
      this.#end(session);
      return;
    }
    const now = this.#ports.clock.monotonicMs();
    const expiresAt = now + session.expirySeconds * 1000;
    const willAt = session.will === undefined ? expiresAt : Math.min(expiresAt, now + delaySeconds * 1000);
    this.#absent.set(session, { willAt, expiresAt });
    this.#wheel.set(session, willAt);
    if (this.#absent.size > this.#ports.options.offlineSessionsMax) {
      for (const [oldest] of this.#absent) {
        this.#end(oldest);
        break;
      }
    }
  }

  /** Publishes wills and ends sessions whose time has come. */
  tick(now: MonotonicMs): void {
    this.#wheel.advance(now);
  }

  #due(session: Session, now: MonotonicMs): number | undefined {
    const absence = this.#absent.get(session);
    if (absence === undefined) return undefined;
    if (now >= absence.expiresAt) {
      this.#ports.counters.sessionsExpired++;
      this.#end(session);
      return undefined;
    }
    if (session.will !== undefined && now >= absence.willAt) this.#publishWill(session);
    return session.will === undefined ? absence.expiresAt : absence.willAt;
  }

  /** Ends the session with everything it holds; a will that still waits is published now [MQTT-3.1.2-8]. */
  #end(session: Session): void {
    this.#byClientId.delete(session.clientId);
    this.#absent.delete(session);
    this.#wheel.delete(session);
    this.#ports.ended(session);
    session.end();
    if (session.will !== undefined) this.#publishWill(session);
  }

  #publishWill(session: Session): void {
    this.#ports.counters.willsPublished++;
    this.#ports.publishWill(session);
    session.will = undefined; // [MQTT-3.1.2-10]
  }
}
