/**
 * A stream that passes everything on to another one, so that what stands in a stream's way says only what it does differently.
 */

import type { Stream, StreamHandler } from "@skein/kernel";

export abstract class ForwardedStream implements Stream {
  protected readonly inner: Stream;

  constructor(inner: Stream) {
    this.inner = inner;
  }

  get remoteAddress(): string {
    return this.inner.remoteAddress;
  }

  get localAddress(): string {
    return this.inner.localAddress;
  }

  get identity(): string | undefined {
    return this.inner.identity;
  }

  get bufferedBytes(): number {
    return this.inner.bufferedBytes;
  }

  start(handler: StreamHandler): void {
    this.inner.start({
      received: (bytes) => this.received(bytes, handler),
      drained: () => handler.drained(),
      closed: (error) => this.closed(error, handler),
    });
  }

  write(bytes: Uint8Array): boolean {
    return this.inner.write(bytes);
  }

  pause(): void {
    this.inner.pause();
  }

  resume(): void {
    this.inner.resume();
  }

  gatherAtMost(bytes: number): void {
    this.inner.gatherAtMost?.(bytes);
  }

  end(): void {
    this.inner.end();
  }

  reset(): void {
    this.inner.reset();
  }

  /** `bytes` have come for `handler`. */
  protected received(bytes: Uint8Array, handler: StreamHandler): void {
    handler.received(bytes);
  }

  /** The other stream has ended. */
  protected closed(error: Error | undefined, handler: StreamHandler): void {
    handler.closed(error);
  }
}
