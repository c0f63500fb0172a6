/**
 * The program of the version before, as far as the others notice it: it says that it speaks the protocol up to version N-1, and what
 * only version N says it does not know. Told in that, it would pass it over, and what was in it would be lost; here that ends the run.
 *
 * What comes through a relay is not looked into.
 *
 * Source: packages/mesh/src/link/protocol-version.ts, packages/mesh/src/messages.ts.
 */

import { ForwardedStream, type LinkTransport, type Stream, type StreamHandler } from "@skein/kernel";
import { type ProtocolVersions, SPOKEN_VERSIONS } from "@skein/mesh";
import { CheckFailure } from "../observations.ts";

const { oldest, newest } = SPOKEN_VERSIONS;
export const VERSIONS_BEFORE: ProtocolVersions = { oldest, newest: newest - 1 };

/** Types of frames, by the version that brought them: PUBLISH packets as they came, of 3.1.1 and of 5.0. */
const TYPES_SINCE: Readonly<Record<number, readonly number[]>> = { 3: [23, 24] };
const HEADER_BYTES = 5;

/** `transport` for a program of the version before on `node`. */
export function olderTransport(transport: LinkTransport, node: string): LinkTransport {
  const unknown = TYPES_SINCE[newest];
  if (unknown === undefined) throw new Error(`which types of frames did version ${newest} bring?`);
  const saw = (type: number): void => {
    if (unknown.includes(type))
      throw new CheckFailure(
        "version skew",
        `${node} speaks up to version ${newest - 1}, and was sent a frame of type ${type}`,
      );
  };
  return {
    dial: (address, timeoutMs, done) =>
      transport.dial(address, timeoutMs, (result) =>
        done(result instanceof Error ? result : new ReadStream(result, saw)),
      ),
    listen: (address, accepted, refused, ready) =>
      transport.listen(address, (stream) => accepted(new ReadStream(stream, saw)), refused, ready),
  };
}

/** A link that is read along: `length u32 | type u8 | body`, length counting the type. */
class ReadStream extends ForwardedStream {
  readonly #saw: (type: number) => void;
  /** What has come of a header. */
  #header: number[] = [];
  #bodyLeft = 0;

  constructor(stream: Stream, saw: (type: number) => void) {
    super(stream);
    this.#saw = saw;
  }

  protected override received(bytes: Uint8Array, handler: StreamHandler): void {
    this.#read(bytes);
    super.received(bytes, handler);
  }

  #read(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      const passed = Math.min(this.#bodyLeft, bytes.length - at);
      this.#bodyLeft -= passed;
      at += passed;
      if (at === bytes.length) return;
      this.#header.push(bytes[at++] as number);
      if (this.#header.length < HEADER_BYTES) continue;
      const [a = 0, b = 0, c = 0, d = 0, type = 0] = this.#header;
      this.#header = [];
      this.#bodyLeft = ((a << 24) | (b << 16) | (c << 8) | d) - 1;
      this.#saw(type);
    }
  }
}
