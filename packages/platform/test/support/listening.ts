/** A listener for clients under test: what got through it, and what it refused. */

import { SkeinError, type Stream } from "@skein/kernel";
import type { ClientListener, ListenOptions } from "../../src/sockets/client-listener.ts";
import { listenTcp } from "../../src/sockets/tcp.ts";

export interface Listening {
  readonly listener: ClientListener;
  /** All that got through, in order. */
  readonly streams: readonly Stream[];
  /** The first one. */
  readonly accepted: Promise<Stream>;
  readonly refusals: readonly string[];
  /** The first one. */
  readonly refused: Promise<string>;
}

/** On a free port of loopback. The caller closes the listener. */
export async function listenFor(options: Partial<ListenOptions>, open = listenTcp): Promise<Listening> {
  const streams: Stream[] = [];
  const refusals: string[] = [];
  let tell: (stream: Stream) => void = () => {};
  let tellReason: (reason: string) => void = () => {};
  const accepted = new Promise<Stream>((resolve) => {
    tell = resolve;
  });
  const refused = new Promise<string>((resolve) => {
    tellReason = resolve;
  });
  const listener = await new Promise<ClientListener | SkeinError>((ready) =>
    open({
      host: "127.0.0.1",
      port: 0,
      accepted: (stream) => {
        streams.push(stream);
        tell(stream);
      },
      refused: (_, reason) => {
        refusals.push(reason);
        tellReason(reason);
      },
      ready,
      ...options,
    }),
  );
  if (listener instanceof SkeinError) throw listener;
  return { listener, streams, accepted, refusals, refused };
}
