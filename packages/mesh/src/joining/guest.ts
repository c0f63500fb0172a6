/**
 * A newcomer at one address: proves the code, asks, and hears what came of it.
 */

import { type Clock, type DialAsGuest, GUEST_PREFIX, type GuestFailure, type Stream } from "@skein/kernel";
import { SPOKEN_VERSIONS } from "../link/protocol-version.ts";
import { parseHint } from "./hint.ts";
import { SECRET_BYTES } from "./invitation.ts";
import {
  decodeRefused,
  decodeWelcome,
  encodeAsk,
  JoinFrame,
  type JoinReason,
  type Welcome,
} from "./join-messages.ts";
import { JoinStream } from "./join-stream.ts";

/** Longer than stretching takes on the slowest machine. */
const DIAL_MAX_MS = 4000;
/** The host may have to ask the node that made the invitation first. */
const ANSWER_MAX_MS = 5000;

export type JoinOutcome =
  | { readonly kind: "welcome"; readonly welcome: Welcome }
  | { readonly kind: "refused"; readonly reason: JoinReason }
  | { readonly kind: "wrongCode" }
  /** No invitation can be used there. */
  | { readonly kind: "noInvitation" }
  | { readonly kind: "wait"; readonly seconds: number }
  | { readonly kind: "unreachable"; readonly reason: string };

export interface GuestPorts {
  readonly clock: Clock;
  readonly dial: DialAsGuest;
  /** Stretches the code with this salt (16 hexadecimal digits) to 33 bytes: secret and tag. */
  readonly stretch: (salt: string) => Uint8Array;
}

/** Tries to join at `address` (`host:port`) as `name`. Calls `done` exactly once. */
export function askToJoin(
  address: string,
  name: string,
  ports: GuestPorts,
  done: (outcome: JoinOutcome) => void,
): void {
  let givenUp: JoinOutcome = { kind: "noInvitation" };
  const prove = (text: string | undefined) => {
    const hint = parseHint(text);
    if (hint?.kind === "wait") givenUp = hint;
    if (hint?.kind !== "salt") return undefined;
    const stretched = ports.stretch(hint.salt);
    const tag = (stretched[SECRET_BYTES] as number).toString(16).padStart(2, "0");
    return { identity: `${GUEST_PREFIX}${tag}`, secret: stretched.slice(0, SECRET_BYTES) };
  };
  ports.dial(address, DIAL_MAX_MS, prove, (result) => {
    if ("kind" in result) done(outcomeOf(result, givenUp));
    else converse(result, name, ports.clock, done);
  });
}

function outcomeOf(failure: GuestFailure, givenUp: JoinOutcome): JoinOutcome {
  if (failure.kind === "givenUp") return givenUp;
  return failure.kind === "wrongSecret" ? { kind: "wrongCode" } : failure;
}

function converse(stream: Stream, name: string, clock: Clock, done: (outcome: JoinOutcome) => void): void {
  let outcome: JoinOutcome | undefined;
  const conversation = new JoinStream(stream, clock, ANSWER_MAX_MS, {
    received: (type, body) => {
      if (type === JoinFrame.welcome) outcome = { kind: "welcome", welcome: decodeWelcome(body) };
      else if (type === JoinFrame.refused) outcome = { kind: "refused", reason: decodeRefused(body) };
      conversation.reset("answered");
    },
    ended: (reason) => done(outcome ?? { kind: "unreachable", reason }),
  });
  conversation.start();
  conversation.send(JoinFrame.ask, (out) => encodeAsk({ versions: SPOKEN_VERSIONS, name }, out));
}
