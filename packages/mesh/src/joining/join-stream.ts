/**
 * One end of the short conversation between newcomer and host: frames in, frames out, and an end within bounded time.
 *
 * The other end is believed to hold the invitation's secret and nothing more: it may send little, and must not dawdle.
 */

import { ByteWriter, type Clock, SkeinError, type Stream, type Timer } from "@skein/kernel";
import { FrameSplitter } from "../link/frame.ts";
import { JOIN_FRAME_BYTES_MAX } from "./join-messages.ts";

export interface JoinStreamOwner {
  /** `body` is valid during the call only. May throw ERR_SKEIN_MALFORMED. */
  received(type: number, body: Uint8Array): void;
  /** The stream has ended, by either end or its time. Called exactly once. */
  ended(reason: string): void;
}

export class JoinStream {
  readonly #stream: Stream;
  readonly #owner: JoinStreamOwner;
  readonly #splitter = new FrameSplitter(JOIN_FRAME_BYTES_MAX);
  readonly #timer: Timer;
  #isOver = false;

  constructor(stream: Stream, clock: Clock, timeMaxMs: number, owner: JoinStreamOwner) {
    this.#stream = stream;
    this.#owner = owner;
    this.#timer = clock.after(timeMaxMs, () => this.reset("no answer in time"));
  }

  /** Begins to read. Call once, when the owner is ready. */
  start(): void {
    this.#stream.start({
      received: (bytes) => this.#received(bytes),
      drained: () => undefined,
      closed: (error) => this.#over(error?.message ?? "closed by the other end"),
    });
  }

  send(type: number, write: (out: ByteWriter) => void): void {
    const out = new ByteWriter();
    out.u32(0).u8(type);
    write(out);
    out.setU32(0, out.length - 4);
    this.#stream.write(out.finish());
  }

  /** Everything is said: ends when it has gone out. */
  end(): void {
    this.#stream.end();
  }

  reset(reason: string): void {
    if (this.#isOver) return;
    this.#over(reason);
    this.#stream.reset();
  }

  #received(bytes: Uint8Array): void {
    if (this.#isOver) return;
    try {
      this.#splitter.push(bytes, (type, body) => this.#owner.received(type, body));
    } catch (error) {
      if (!(error instanceof SkeinError && error.code === "ERR_SKEIN_MALFORMED")) throw error;
      this.reset("it does not speak the language of joining");
    }
  }

  #over(reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#splitter.stop();
    this.#timer.cancel();
    this.#owner.ended(reason);
  }
}
