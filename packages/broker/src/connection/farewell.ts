/** What clients are told when their connection must end, and where else they may go. Source: MQTT 5 section 4.11. */

import { ReasonCode } from "../codec/reason-codes.ts";
import type { ListenerOptions } from "../options.ts";

/** Other nodes are named by their ports for plain MQTT: not to clients that came in another way, an encrypted one perhaps. */
export function referenceFor(
  listener: ListenerOptions,
  serverReference: string | undefined,
): string | undefined {
  return listener.isPlain === false ? undefined : serverReference;
}

/**
 * What 5.0 clients are told when their connection must end. Section 4.11: they may go elsewhere, and lose nothing if they do
 * not. A CONNACK with that code would turn them away, and is never sent (P11).
 */
export function farewell(serverReference: string | undefined): number {
  return serverReference === undefined ? ReasonCode.ServerShuttingDown : ReasonCode.UseAnotherServer;
}
