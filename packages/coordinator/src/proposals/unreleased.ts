/**
 * QoS 2 messages that this node has acknowledged without a quorum, and that their clients may still send again, wherever they come next.
 *
 * With PUBREL that is over, and the command says so: it is never taken for what the client sends to another node later with the same identifier and
 * content (state-machine/sessions/repeated-messages.ts).
 *
 * Source: MQTT 5 section 4.3.3.
 */

import type { PendingCommand } from "./pending-command.ts";

export class Unreleased {
  /** By packet identifier and client. */
  readonly #commands = new Map<string, PendingCommand>();

  /** `fresh` count without a quorum from now on. Returns the messages that are released with them. */
  take(fresh: readonly PendingCommand[]): readonly PendingCommand[] {
    const released: PendingCommand[] = [];
    for (const pending of fresh) {
      const { operation } = pending;
      if (operation.kind !== "publishOnce" && operation.kind !== "release") continue;
      const name = `${operation.packetId} ${operation.clientId}`;
      const known = this.#commands.get(name);
      if (operation.kind === "publishOnce") this.#commands.set(name, pending);
      else if (known !== undefined && this.#commands.delete(name)) released.push(known);
    }
    return released;
  }

  clear(): void {
    this.#commands.clear();
  }
}
