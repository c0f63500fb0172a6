/** Opens and closes the ports that MQTT clients connect to. */

import type { Broker } from "@skein/broker";
import type { SkeinError, Stream, StreamListener } from "@skein/kernel";
import { type ClientListener, type ListenOptions, listenTcp, listenWebSocket } from "@skein/platform";
import type { ClientBalancing } from "./balancing/client-balancing.ts";
import { formatHostPort, isLoopback } from "./config/addresses.ts";
import type { ListenerConfig } from "./config/load-config.ts";

/** Opens one listener. @throws {SkeinError} ERR_SKEIN_PORT_IN_USE, ERR_SKEIN_LISTEN */
function open(
  config: ListenerConfig,
  accepted: (stream: Stream) => void,
  divert?: ListenOptions["divert"],
): Promise<ClientListener> {
  const listen = config.protocol === "ws" ? listenWebSocket : listenTcp;
  return new Promise((resolve, reject) => {
    const ready = (result: ClientListener | SkeinError): void => {
      if (result instanceof Error) reject(result);
      else resolve(result);
    };
    listen({ host: config.host, port: config.port, accepted, divert, ready });
  });
}

/**
 * Finds out at once whether the ports can be had, so that `skein up` fails within milliseconds and not when the node has
 * become ready. Whoever connects in this instant is reset, as if the port had still been closed.
 *
 * @throws {SkeinError} ERR_SKEIN_PORT_IN_USE, ERR_SKEIN_LISTEN
 */
export async function checkListeners(configs: readonly ListenerConfig[]): Promise<void> {
  for (const config of configs) (await open(config, (stream) => stream.reset())).close();
}

/**
 * Opens all listeners or none. Returns them in the order of `configs`. `balancing` may have other nodes serve what comes in, and
 * has this node serve what others pass on, as far as other machines may come in here.
 *
 * @throws {SkeinError} ERR_SKEIN_PORT_IN_USE, ERR_SKEIN_LISTEN
 */
export async function openListeners(
  configs: readonly ListenerConfig[],
  broker: Broker,
  balancing: ClientBalancing | undefined,
): Promise<readonly StreamListener[]> {
  const opened: StreamListener[] = [];
  try {
    for (const config of configs) {
      const name = `${config.protocol}://${formatHostPort(config)}`;
      // load-config.ts has made sure that a listener other machines can reach is one the operator opened for anybody.
      const listener = { allowAnonymous: true, name, port: config.port };
      const divert: ListenOptions["divert"] = (socket, serve) =>
        balancing?.divert(config.protocol, socket, serve) === true;
      const client = await open(config, (stream) => broker.accept(stream, listener), divert);
      listener.port = client.port;
      opened.push(client);
      if (!isLoopback(config.host)) balancing?.takeIn(config.protocol, client);
    }
    return opened;
  } catch (error) {
    for (const listener of opened) listener.close();
    throw error;
  }
}
