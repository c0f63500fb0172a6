/** Who keeps the sessions of a broker: the broker itself (sessions.ts), or the mesh (claimed-sessions.ts). */

import type { MonotonicMs, WillFate } from "@skein/kernel";
import type { Admission } from "../connection/connecting.ts";
import type { ClientSession, SessionPorts } from "./client-session.ts";

/** A connection whose CONNECT has been admitted. */
export interface Entrant {
  readonly remoteAddress: string;
  /** It has got its session: CONNACK. */
  connected(session: ClientSession, isPresent: boolean, admission: Admission): void;
  /** `connected` follows later. The connection calls `awaited.withdraw` if it ends before that. */
  awaitSession(awaited: AwaitedSession): void;
  /** A newer connection of the same client has come, from address `by`: ends this one. */
  takenOver(by: string): void;
  disconnect(reasonCode: number, fate: WillFate): void;
}

/** A session that a connection waits for. */
export interface AwaitedSession {
  readonly clientId: string;
  /** Nobody waits any more. */
  withdraw(fate: WillFate): void;
}

export interface KeeperPorts extends SessionPorts {
  /** The session has ended, or has left this node: its subscriptions go. */
  ended(session: ClientSession): void;
}

export interface SessionKeeper {
  /** Sessions, connected or not. */
  readonly size: number;
  /** Messages that wait in those of this node. Looks at each. */
  readonly queued: number;
  /** What they take: see {@link ClientSession}. Likewise. */
  readonly queuedBytes: number;
  has(clientId: string): boolean;
  /** The session of a client that is connected here. */
  find(clientId: string): ClientSession | undefined;
  /** Gives `connection` its session, now or later. An older connection of the client is ended first [MQTT-3.1.4-3]. */
  open(admission: Admission, connection: Entrant): void;
  /** The connection of `session` has ended. */
  detach(session: ClientSession, fate: WillFate): void;
  tick(now: MonotonicMs): void;
}
