/**
 * A switch in a node's way to the others, for `skein drill partition`: while it is cut, nothing comes in and nothing goes out.
 *
 * As with a pulled cable nobody is told: open links fall silent, dials find no answer, multicast is not heard. A link that has
 * swallowed bytes cannot go on, so it is reset when the switch closes again. Clients are not cut off: they come on other sockets.
 */

import type { Clock, DnsHandler, LinkTransport, MulticastDns, Stream, StreamHandler } from "@skein/kernel";
import { ForwardedStream } from "./forwarded-stream.ts";

export class MeshSwitch {
  readonly #clock: Clock;
  readonly #streams = new Set<CutStream>();
  #isCut = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get isCut(): boolean {
    return this.#isCut;
  }

  /** Cuts the node off for `forMs`. */
  cut(forMs: number, mended: () => void): void {
    this.#isCut = true;
    this.#clock.after(forMs, () => {
      this.#isCut = false;
      for (const stream of [...this.#streams]) stream.mend();
      mended();
    });
  }

  /** `transport` with the switch in it. */
  transport(transport: LinkTransport): LinkTransport {
    return {
      dial: (address, timeoutMs, done) => {
        if (!this.#isCut)
          return transport.dial(address, timeoutMs, (result) => {
            done(result instanceof Error ? result : this.#through(result));
          });
        const timer = this.#clock.after(timeoutMs, () => done(new Error(`no answer within ${timeoutMs} ms`)));
        return () => timer.cancel();
      },
      listen: (address, accepted, refused, ready, guests) => {
        const take = (stream: Stream): void => {
          if (this.#isCut) stream.reset();
          else accepted(this.#through(stream));
        };
        transport.listen(address, take, refused, ready, guests);
      },
    };
  }

  /** `mdns` with the switch in it. */
  multicast(mdns: MulticastDns): MulticastDns {
    return {
      hostName: () => mdns.hostName(),
      start: (handler: DnsHandler) =>
        mdns.start({
          queried: (questions, from) => this.#isCut || handler.queried(questions, from),
          answered: (records, from) => this.#isCut || handler.answered(records, from),
          failed: (error) => handler.failed(error),
        }),
      query: (questions) => this.#isCut || mdns.query(questions),
      respond: (records) => this.#isCut || mdns.respond(records),
      localAddresses: () => mdns.localAddresses(),
      stop: () => mdns.stop(),
    };
  }

  #through(stream: Stream): Stream {
    const through = new CutStream(
      stream,
      () => this.#isCut,
      () => this.#streams.delete(through),
    );
    this.#streams.add(through);
    return through;
  }
}

/** A stream through the switch. */
class CutStream extends ForwardedStream {
  readonly #isCut: () => boolean;
  readonly #ended: () => void;
  /** Something was swallowed. */
  #isTorn = false;

  constructor(stream: Stream, isCut: () => boolean, ended: () => void) {
    super(stream);
    this.#isCut = isCut;
    this.#ended = ended;
  }

  override write(bytes: Uint8Array): boolean {
    return this.#swallows() || super.write(bytes);
  }

  /** The switch is closed again. */
  mend(): void {
    if (this.#isTorn) this.reset();
  }

  protected override received(bytes: Uint8Array, handler: StreamHandler): void {
    if (!this.#swallows()) super.received(bytes, handler);
  }

  protected override closed(error: Error | undefined, handler: StreamHandler): void {
    this.#ended();
    super.closed(error, handler);
  }

  #swallows(): boolean {
    if (!this.#isCut()) return this.#isTorn;
    this.#isTorn = true;
    return true;
  }
}
