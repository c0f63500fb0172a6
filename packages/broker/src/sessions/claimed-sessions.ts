/**
 * The sessions of the clients connected to this node, where the mesh keeps them.
 *
 * A connection claims the session of its client, and has it until it ends or a newer claim anywhere takes it away. A CONNECT
 * that may find a session waits for its claim to hold; all others go on at once, and their claim keeps only their will and tells
 * of a takeover. Nothing outlives its connection here: wills, expiry and what is owed meanwhile are the business of the mesh.
 *
 * Source: MQTT 5 sections 3.1.2.4 (Clean Start), 3.1.4 (takeover), 4.1 (session state); reference design, section 4.3, rule 2.
 */

import type { KeptSession, NodeId, SessionClaim, SessionHolder, SessionStore, WillFate } from "@skein/kernel";
import type { Admission } from "../connection/connecting.ts";
import type { Subscriptions } from "../subscriptions/subscriptions.ts";
import type { ClientSession } from "./client-session.ts";
import { Session } from "./session.ts";
import type { AwaitedSession, Entrant, KeeperPorts, SessionKeeper } from "./session-keeper.ts";
import { StoredSession } from "./stored-session.ts";

interface ClaimedPorts extends KeeperPorts {
  readonly subscriptions: Subscriptions;
}

/** Clients that claim, four times a second, after the mesh has got its second node. */
const CLAIMS_PER_TICK = 250;

/** One connection and what it holds. */
class Tenancy implements SessionHolder, AwaitedSession {
  readonly admission: Admission;
  readonly connection: Entrant;
  /** Undefined: it has none, or has lost it. */
  claim: SessionClaim | undefined;
  /** Undefined: CONNECT waits. */
  session: ClientSession | undefined;
  readonly #sessions: ClaimedSessions;

  constructor(sessions: ClaimedSessions, admission: Admission, connection: Entrant) {
    this.#sessions = sessions;
    this.admission = admission;
    this.connection = connection;
  }

  get clientId(): string {
    return this.admission.clientId;
  }

  opened(kept: KeptSession, isPresent: boolean): void {
    this.#sessions.opened(this, kept, isPresent);
  }

  grown(): void {
    if (this.session instanceof StoredSession) this.session.grown();
  }

  placed(ordinal: number | undefined, name: string, isHad: boolean): void {
    if (this.session instanceof StoredSession) this.session.placed(ordinal, name, isHad);
  }

  lost(by: NodeId | undefined): void {
    this.#sessions.lost(this, by ?? "another node");
  }

  withdraw(fate: WillFate): void {
    this.#sessions.withdraw(this, fate);
  }
}

export class ClaimedSessions implements SessionKeeper {
  readonly #store: SessionStore;
  readonly #ports: ClaimedPorts;
  readonly #tenancies = new Map<string, Tenancy>();
  /** Those that have not claimed anything. */
  readonly #unclaimed = new Set<Tenancy>();

  constructor(store: SessionStore, ports: ClaimedPorts) {
    this.#store = store;
    this.#ports = ports;
  }

  /** Those that the mesh keeps, and those that end with their connection to this node. */
  get size(): number {
    let size = this.#store.count;
    for (const { session } of this.#tenancies.values()) if (session instanceof Session) size++;
    return size;
  }

  get queued(): number {
    let queued = 0;
    for (const { session } of this.#tenancies.values()) queued += session?.queued ?? 0;
    return queued;
  }

  get queuedBytes(): number {
    let bytes = 0;
    for (const { session } of this.#tenancies.values()) bytes += session?.queuedBytes ?? 0;
    return bytes;
  }

  has(clientId: string): boolean {
    return this.#tenancies.has(clientId) || this.#store.has(clientId);
  }

  find(clientId: string): ClientSession | undefined {
    return this.#tenancies.get(clientId)?.session;
  }

  open(admission: Admission, connection: Entrant): void {
    const { clientId, cleanStart, expirySeconds } = admission;
    const older = this.#tenancies.get(clientId);
    if (older !== undefined) {
      this.#ports.counters.sessionsTakenOver++;
      older.connection.takenOver(connection.remoteAddress);
    }
    const tenancy = new Tenancy(this, admission, connection);
    this.#tenancies.set(clientId, tenancy);
    if (this.#mustClaim(admission)) {
      if (!cleanStart) {
        this.#store.afterOutboxes(() => this.#claimIfThere(tenancy));
        connection.awaitSession(tenancy);
        return;
      }
      this.#claim(tenancy, cleanStart);
      if (expirySeconds > 0) {
        connection.awaitSession(tenancy);
        return;
      }
    } else this.#unclaimed.add(tenancy);
    this.#enter(tenancy, new Session(clientId, this.#ports), false);
  }

  detach(session: ClientSession, fate: WillFate): void {
    const tenancy = this.#tenancies.get(session.clientId);
    if (tenancy?.session === session) this.#end(tenancy, session, session.expirySeconds, fate);
  }

  /** Time is the mesh's. Who was here before it had a second node claims now: its next connection may be there. */
  tick(): void {
    this.#ports.counters.sessionsExpired = this.#store.expired;
    if (this.#unclaimed.size === 0 || !this.#store.claimsEveryClient) return;
    let left = CLAIMS_PER_TICK;
    for (const tenancy of this.#unclaimed) {
      if (left-- === 0) return;
      this.#unclaimed.delete(tenancy);
      this.#claim(tenancy, true);
    }
  }

  /** The claim holds. */
  opened(tenancy: Tenancy, kept: KeptSession, isPresent: boolean): void {
    const { admission, claim } = tenancy;
    if (tenancy.session !== undefined || claim === undefined) return;
    const { clientId, expirySeconds } = admission;
    if (expirySeconds === 0 && !isPresent) {
      this.#enter(tenancy, new Session(clientId, this.#ports), false);
      return;
    }
    const session = new StoredSession(clientId, this.#ports, kept, claim);
    this.#ports.subscriptions.restore(session, kept.subscriptions.values());
    this.#enter(tenancy, session, isPresent);
  }

  /** The client is connected elsewhere now. */
  lost(tenancy: Tenancy, by: string): void {
    tenancy.claim = undefined;
    this.#ports.counters.sessionsTakenOver++;
    tenancy.connection.takenOver(by);
  }

  withdraw(tenancy: Tenancy, fate: WillFate): void {
    this.#end(tenancy, undefined, tenancy.admission.expirySeconds, fate);
  }

  /** On a node of its own, who keeps nothing need not claim anything. */
  #mustClaim({ clientId, expirySeconds, will }: Admission): boolean {
    if (expirySeconds > 0 || will !== undefined) return true;
    return this.#store.claimsEveryClient || this.#store.has(clientId);
  }

  /** Its connection may be over, or a newer one there. */
  #claimIfThere(tenancy: Tenancy): void {
    if (this.#tenancies.get(tenancy.clientId) === tenancy) this.#claim(tenancy, false);
  }

  #claim(tenancy: Tenancy, cleanStart: boolean): void {
    const { clientId, expirySeconds, keepAliveSeconds, will } = tenancy.admission;
    const { queuedMessagesMax, queuedBytesMax } = this.#ports.options;
    const limits = { queuedMessagesMax, queuedBytesMax };
    const opening = { clientId, cleanStart, expirySeconds, keepAliveSeconds, will, ...limits };
    tenancy.claim = this.#store.open(opening, tenancy);
  }

  #enter(tenancy: Tenancy, session: ClientSession, isPresent: boolean): void {
    tenancy.session = session;
    session.expirySeconds = tenancy.admission.expirySeconds;
    tenancy.connection.connected(session, isPresent, tenancy.admission);
  }

  #end(tenancy: Tenancy, session: ClientSession | undefined, expirySeconds: number, fate: WillFate): void {
    const { claim } = tenancy;
    this.#tenancies.delete(tenancy.clientId);
    this.#unclaimed.delete(tenancy);
    tenancy.claim = undefined;
    if (session !== undefined) {
      session.outlet = undefined;
      this.#ports.ended(session);
      session.end();
    }
    claim?.close(fate, expirySeconds, session?.sentThrough ?? -1);
  }
}
