/**
 * QoS 2 messages that a client has sent to two nodes, across a lost quorum: taken once.
 *
 * Who loses its connection before PUBREC sends the message again, with DUP, wherever it comes next. If the first node had no quorum it has
 * acknowledged the message on its own, and its outbox brings it later, from a connection that is over by then: the log would take it from both,
 * in whatever order they come. So a session remembers, by packet identifier and content, what came with DUP, for one command
 * of an older connection; and what came from an older connection, for one with DUP. The same identifier and content without DUP on either
 * side is another message: a device that always begins at identifier 1 and says the same loses nothing.
 *
 * Nor does it what it has said before, or says later. What it has released on the older connection does not come again (format 8 of commands.ts).
 * A node that had applied the entry of the repetition before it acknowledged a message has heard a new one. And what came from an older
 * connection waits until one that was answered releases the identifier or ends, or its node does. One that a newer CONNECT has ended may not have
 * been answered, or not have been heard: its client sends with DUP again.
 *
 * Source: MQTT 5 sections 3.3.1.1, 4.3.3, 4.4; docs/sessions.md, "After the heal".
 */

import { type ApplicationMessage, type ByteReader, type ByteWriter, SkeinError } from "@skein/kernel";
import { contentHash } from "../content-hash.ts";
import type { PublishingPort, SessionOutcome } from "./publishing-port.ts";
import type { SessionState } from "./session-state.ts";

/** Remembered of one session; the oldest go first, and what is forgotten may come twice. A client has fewer under way. */
export const REPEATED_MAX = 64;

/** A message that the log has taken, and that may come once more. */
export interface RepeatedMessage {
  readonly packetId: number;
  /** Hash of topic, payload and all else that it says, but for its lifetime. */
  readonly content: number;
  /** Log index of the command that has brought it. */
  readonly index: number;
  /** It came with DUP: it may come once more from an older connection. */
  readonly awaitsOlder: boolean;
  /** It came from an older connection: it may come once more with DUP. */
  readonly awaitsRepeated: boolean;
}

/** What one command brings. */
export interface Brought {
  readonly packetId: number;
  readonly isRepeated: boolean;
  readonly message: ApplicationMessage;
}

type Port = Pick<PublishingPort, "index" | "alone" | "remembersRepeated">;

/** Publishes what the connection that holds `session` has `brought`, unless the log has it already. */
export function takeOnce(
  session: SessionState,
  brought: Brought,
  port: Port,
  publish: () => SessionOutcome,
): SessionOutcome {
  const { packetId, isRepeated, message } = brought;
  const content = port.remembersRepeated() ? contentHash(message) : 0;
  if (session.holds(packetId, content)) return "applied";
  const outcome =
    isRepeated && content !== 0
      ? takeUnlessKnown(session, brought, content, false, port, publish)
      : publish();
  // A refused identifier is free again [MQTT-4.3.3-9]; what was delivered all the same is not taken back.
  if (outcome !== "full") session.received.set(packetId, content);
  return outcome;
}

/** The same of what was acknowledged without a quorum, on a connection that does not hold the session any more. */
export function takeLate(
  session: SessionState,
  brought: Brought,
  port: Port,
  publish: () => SessionOutcome,
): SessionOutcome {
  if (!port.remembersRepeated()) return publish();
  const content = contentHash(brought.message);
  // The node that it was sent to first has put it into the log, and its client has not released it since.
  if (brought.isRepeated && session.received.get(brought.packetId) === content) return "applied";
  // What was released there does not come again.
  const isOlder = port.alone()?.isReleased !== true;
  if (!isOlder && !brought.isRepeated) return publish();
  return takeUnlessKnown(session, brought, content, isOlder, port, publish);
}

/** Publishes what may come twice, unless it has come: then this was the second time. `isOlder`: its client may send it again elsewhere. */
function takeUnlessKnown(
  session: SessionState,
  brought: Brought,
  content: number,
  isOlder: boolean,
  port: Port,
  publish: () => SessionOutcome,
): SessionOutcome {
  const at = session.repeated.findIndex((known) => isSame(known, content, brought, isOlder, port));
  if (at >= 0) {
    session.repeated = session.repeated.toSpliced(at, 1);
    return "applied";
  }
  const outcome = publish();
  if (outcome === "full") return outcome;
  const { packetId, isRepeated } = brought;
  const known = { packetId, content, index: port.index(), awaitsOlder: isRepeated, awaitsRepeated: isOlder };
  session.repeated = [...session.repeated, known].slice(-REPEATED_MAX);
  return outcome;
}

function isSame(
  known: RepeatedMessage,
  content: number,
  { packetId, isRepeated }: Brought,
  isOlder: boolean,
  port: Port,
): boolean {
  if (known.packetId !== packetId || known.content !== content) return false;
  return (
    (known.awaitsRepeated && isRepeated) ||
    (known.awaitsOlder && isOlder && (port.alone()?.seenThrough ?? 0) < known.index)
  );
}

/** Nothing comes with DUP any more of what older connections have brought; `packetId`: of that alone. */
export function withoutAwaited(
  repeated: readonly RepeatedMessage[],
  packetId?: number,
): readonly RepeatedMessage[] {
  const isOver = (known: RepeatedMessage): boolean =>
    known.awaitsRepeated && (packetId === undefined || known.packetId === packetId);
  if (!repeated.some(isOver)) return repeated;
  return repeated.flatMap((known) => {
    if (!isOver(known)) return [known];
    return known.awaitsOlder ? [{ ...known, awaitsRepeated: false }] : [];
  });
}

const AWAITS_OLDER = 1;
const AWAITS_REPEATED = 2;

export function writeRepeated(repeated: readonly RepeatedMessage[], into: ByteWriter): void {
  into.varint(repeated.length);
  for (const { packetId, content, index, awaitsOlder, awaitsRepeated } of repeated) {
    into.varint(packetId).varint(content).varint(index);
    into.u8((awaitsOlder ? AWAITS_OLDER : 0) | (awaitsRepeated ? AWAITS_REPEATED : 0));
  }
}

/** @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function readRepeated(input: ByteReader): readonly RepeatedMessage[] {
  const count = input.varint();
  if (count > REPEATED_MAX)
    throw new SkeinError("ERR_SKEIN_MALFORMED", `Cannot decode ${count} repeated messages`);
  return Array.from({ length: count }, () => {
    const [packetId, content, index] = [input.varint(), input.varint(), input.varint()];
    const bits = input.u8();
    const [awaitsOlder, awaitsRepeated] = [(bits & AWAITS_OLDER) !== 0, (bits & AWAITS_REPEATED) !== 0];
    return { packetId, content, index, awaitsOlder, awaitsRepeated };
  });
}
