/** Clients whose sessions are kept, as a node's broker holds them. */

import type { KeptSession, SessionClaim, SessionOpening } from "@skein/kernel";
import { message } from "../sessions/session-world.ts";
import { completion, type SimNode, type World } from "./world.ts";

export function openingOf(clientId: string, more: Partial<SessionOpening> = {}): SessionOpening {
  return {
    clientId,
    cleanStart: false,
    keepAliveSeconds: 60,
    expirySeconds: 3600,
    will: undefined,
    queuedMessagesMax: 1000,
    queuedBytesMax: 100_000,
    ...more,
  };
}

/** It comes to `node`; `kept`: what it is served from. */
export function comesTo(
  { running }: SimNode,
  clientId: string,
  more: Partial<SessionOpening> = {},
): { readonly claim: SessionClaim; readonly kept: () => KeptSession } {
  let view: KeptSession | undefined;
  const nothing = (): void => undefined;
  const claim = running.sessions.open(openingOf(clientId, more), {
    opened: (opened) => {
      view = opened;
    },
    grown: nothing,
    lost: nothing,
    placed: nothing,
  });
  const kept = (): KeptSession => {
    if (view === undefined) throw new Error("its CONNECT waits");
    return view;
  };
  return { claim, kept };
}

/** A client comes to `node`; each call publishes one message more with QoS 2: "1", "2" and so on, behind `prefix`. */
export function publisherAt(
  world: World,
  node: SimNode,
  clientId = "p",
  prefix = "",
): () => ReturnType<typeof completion> {
  const { claim } = comesTo(node, clientId);
  world.run(1000);
  let published = 0;
  return () => {
    const done = completion();
    claim.publish(message("t", `${prefix}${++published}`, 2), published, false, done);
    return done;
  };
}

/** As it writes them. */
export function numbers(from: number, through: number): string[] {
  return Array.from({ length: through - from + 1 }, (_, i) => `${from + i}`);
}
