/** A client whose session is kept, as a node's broker holds it. */

import type { KeptSession, SessionClaim, SessionOpening } from "@skein/kernel";
import type { SimNode } from "./world.ts";

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
