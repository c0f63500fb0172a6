/**
 * Session Present tells the truth, on whichever node: 1 if the session was acknowledged before and cannot have ended, 0 if
 * nothing can be left of one.
 *
 * "Cannot have ended" is for {@link KeptSessions} to say. Nothing can be left after Clean Start, for a client that has never
 * asked for a session to be kept, and after its expiry: that is judged where no fault can have hidden the end of the connection
 * from the mesh, and with the time that a node's death takes to be noticed where the end was not an orderly one.
 *
 * Source: MQTT 5 sections 3.2.2.1.1 and 3.1.2.11.2; reference design, 4.2 (G4: no delivery later than expiry and one TICK).
 */

import { type Checker, CheckFailure, type Observation } from "../observations.ts";
import type { Durability } from "./blackout-watch.ts";
import { FaultLedger } from "./fault-ledger.ts";
import { KeptSessions } from "./kept-sessions.ts";

/** A TICK, and the way to the leader, in ms. */
const NOTICED_MS = 5000;
/** Until a dead node's sessions are known to be without a connection, in ms. */
const NODE_DOWN_MS = 45_000;
/** Clocks drift. */
const LATE_SHARE = 1.03;

/** What is known of the last connection of a client, for as long as another one has not begun. */
interface Past {
  /** A session was asked for that outlives its connection. */
  mayBeKept: boolean;
  expirySeconds: number;
  keepAliveSeconds: number;
  /** Number of the connection, and when it ended; undefined: it has not, or nobody knows. */
  connection: number;
  endedAt: number | undefined;
  node: string | undefined;
  /** Whatever comes from it now comes from another process, which does not know the connection. */
  hasNodeStopped: boolean;
  /** Its node has taken the DISCONNECT, or told of the end itself. */
  isOrderly: boolean;
}

export class SessionPresent implements Checker {
  readonly name = "session present";
  readonly #faults = new FaultLedger();
  readonly #sessions: KeptSessions;
  readonly #pasts = new Map<string, Past>();
  /** The session of the CONNECT under way is over for good. */
  readonly #gone = new Map<string, string>();

  constructor(durability: Durability) {
    this.#sessions = new KeptSessions(durability);
  }

  observe(observation: Observation): void {
    this.#faults.observe(observation);
    if (observation.kind === "connected") this.#connected(observation);
    this.#sessions.observe(observation);
    if (observation.kind === "connectSent") this.#connecting(observation);
    else if (observation.kind === "disconnected") {
      const past = this.#pasts.get(observation.client);
      if (past !== undefined) past.endedAt = observation.at;
    } else if (observation.kind === "connectionOver") {
      const past = this.#pasts.get(observation.client);
      if (past?.connection !== observation.connection || past.endedAt === undefined) return;
      if (past.hasNodeStopped) return;
      // A client that is silent is missed after one and a half keep-alives only, and its session is kept from then on.
      past.endedAt = observation.at;
      past.isOrderly = true;
    } else if (
      observation.kind === "stopped" &&
      observation.how !== "pause" &&
      observation.how !== "resume"
    ) {
      for (const past of this.#pasts.values()) past.hasNodeStopped ||= past.node === observation.node;
    }
  }

  #connecting(attempt: Extract<Observation, { kind: "connectSent" }>): void {
    const { client, connection, isClean, expirySeconds, keepAliveSeconds, at, node } = attempt;
    const past = this.#pasts.get(client);
    const why = isClean ? "Clean Start" : this.#whyGone(past, node, at);
    if (why === undefined) this.#gone.delete(client);
    else this.#gone.set(client, why);
    const mayBeKept = expirySeconds > 0 || (why === undefined && past?.mayBeKept === true);
    // Two that may both have been the last: whichever keeps it longer.
    const isOpen = past !== undefined && past.endedAt === undefined;
    this.#pasts.set(client, {
      mayBeKept,
      expirySeconds: isOpen ? Math.max(past.expirySeconds, expirySeconds) : expirySeconds,
      keepAliveSeconds,
      connection,
      endedAt: undefined,
      node,
      hasNodeStopped: false,
      isOrderly: false,
    });
  }

  #connected({ client, node, at, isPresent, session }: Extract<Observation, { kind: "connected" }>): void {
    const why = this.#gone.get(client);
    if (isPresent && why !== undefined) {
      throw new CheckFailure(
        this.name,
        `${client} finds a session on ${node} at ${at} ms (${session}) that cannot be there: ${why}`,
      );
    }
    const attempt = this.#sessions.attempt(client);
    const expected = this.#sessions.of(client);
    if (isPresent || attempt === undefined || expected?.isCertain !== true) return;
    if (this.#sessions.mayHaveExpired(expected, at) || !this.#sessions.isSafe(node, attempt.at)) return;
    throw new CheckFailure(
      this.name,
      `${client} finds no session on ${node} at ${at} ms, where ${expected.name} ought to be ` +
        `(last connected from ${expected.connectedAt} to ${expected.awaySince} ms, kept for ${expected.expirySeconds} s)`,
    );
  }

  /** Why no session can be left at `at`; undefined: one may be. */
  #whyGone(past: Past | undefined, node: string | undefined, at: number): string | undefined {
    if (past === undefined) return "there never was one";
    const { endedAt, expirySeconds, keepAliveSeconds, isOrderly } = past;
    if (!past.mayBeKept) return "none was to be kept";
    if (endedAt === undefined) return undefined;
    const wholeSince = this.#faults.wholeSince(undefined);
    const isWhole = wholeSince !== undefined && wholeSince <= endedAt;
    if (!isWhole || !this.#sessions.isSafe(node, endedAt)) return undefined;
    const noticedMs = isOrderly ? NOTICED_MS : NODE_DOWN_MS + keepAliveSeconds * 1500;
    const isExpired = at - endedAt > expirySeconds * 1000 * LATE_SHARE + noticedMs;
    return isExpired ? `it was to be kept for ${expirySeconds} s after ${endedAt} ms` : undefined;
  }
}
