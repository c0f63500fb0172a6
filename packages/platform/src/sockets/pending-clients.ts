/**
 * Bounds how many connections of a server are still on their way to being a client: a stranger costs little as long as it says nothing,
 * but many of them cost much.
 *
 * Each step that waits for the other end (PROXY header, HTTP request) has a time limit of its own; this is the bound in number.
 */

import type { Socket } from "node:net";
import { resetSocket } from "./reset-socket.ts";
import { endsOf } from "./socket-ends.ts";

/** More than come at once after a fail-over. */
const PENDING_MAX = 1024;

/** Connections that have begun one step and not finished it. */
export class PendingClients {
  readonly #pending = new Set<Socket>();
  readonly #refused: ((remoteAddress: string, reason: string) => void) | undefined;
  readonly #reason: string;

  /** `what` they wait for, as in "too many ... at once". */
  constructor(what: string, refused: ((remoteAddress: string, reason: string) => void) | undefined) {
    this.#refused = refused;
    this.#reason = `too many ${what} at once`;
  }

  /** False: there are too many, and `socket` has been reset. */
  begin(socket: Socket): boolean {
    if (this.#pending.size >= PENDING_MAX) {
      this.#refused?.(endsOf(socket).remoteAddress, this.#reason);
      resetSocket(socket);
      return false;
    }
    this.#pending.add(socket);
    socket.once("close", () => this.done(socket));
    return true;
  }

  done(socket: Socket): void {
    this.#pending.delete(socket);
  }
}
