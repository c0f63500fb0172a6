/**
 * How clients were received: that sessions are found again wherever their client comes, that nobody is turned away, and how long it took
 * until a client had its session and the first message that had waited in it.
 */

import { type Judgement, seconds, Verdict } from "./judgement.ts";

/** Answers to CONNECT by which a client must not be turned away, whatever is wrong with the broker, are all but 0. */
const ACCEPTED = 0;

export class ConnectionLedger {
  readonly #sessions = new Verdict("sessions are there when their client comes back");
  readonly #welcome = new Verdict("no CONNECT is refused");
  /** Of clients that came back: milliseconds from CONNECT to CONNACK, and to the first message of a session on another broker. */
  readonly answeredMs: number[] = [];
  readonly resumedMs: number[] = [];

  /**
   * CONNACK came. `isKept`: the client has a session, which was there before, so it has to be present. `tookMs`: since CONNECT;
   * undefined for its first connection, when all come at once.
   */
  answered(
    client: string,
    code: number,
    isKept: boolean,
    isPresent: boolean,
    tookMs: number | undefined,
    at: number,
  ): void {
    this.#welcome.judge();
    if (code !== ACCEPTED) {
      const what = `code 0x${code.toString(16)} at ${seconds(at)}`;
      this.#welcome.break({ client, topic: "", id: "CONNACK", what });
      return;
    }
    if (tookMs !== undefined) this.answeredMs.push(tookMs);
    if (!isKept) return;
    this.#sessions.judge();
    if (isPresent) return;
    this.#sessions.break({ client, topic: "", id: "CONNACK", what: `Session Present 0 at ${seconds(at)}` });
  }

  /** The first message of a session that was resumed on another broker than before came, `tookMs` after CONNECT. */
  resumed(tookMs: number): void {
    this.resumedMs.push(tookMs);
  }

  judge(): readonly Judgement[] {
    return [this.#sessions.judgement, this.#welcome.judgement];
  }
}
