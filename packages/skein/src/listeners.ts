/** Opens and closes the ports that MQTT clients connect to. */

import type { Broker } from "@skein/broker";
import type { LogThrottle, SkeinError, Stream, StreamListener } from "@skein/kernel";
import { type ClientListener, type ClientListenOptions, listenTcp, listenUnix } from "@skein/platform";
import type { ClientBalancing } from "./balancing/client-balancing.ts";
import { isLoopback } from "./config/addresses.ts";
import { type ListenerConfig, listenerName } from "./config/listener-config.ts";
import type { ListenerCertificates } from "./listener-certificates.ts";

type Ways = Pick<ClientListenOptions, "accepted" | "divert" | "refused" | "tls">;

/** Opens one listener. @throws {SkeinError} ERR_SKEIN_PORT_IN_USE, ERR_SKEIN_LISTEN */
async function open(config: ListenerConfig, ways: Ways): Promise<ClientListener> {
  const { protocol, host, port, unix, isProxied, clientsMax: connectionsMax } = config;
  const isWebSocket = protocol === "ws" || protocol === "wss";
  // Most nodes have no such listener, and what it needs would stay in memory for good.
  const listen = isWebSocket ? (await import("@skein/platform/websocket")).listenWebSocket : listenTcp;
  return new Promise((resolve, reject) => {
    const ready = (result: ClientListener | SkeinError): void => {
      if (result instanceof Error) reject(result);
      else resolve(result);
    };
    const options = { ...ways, isProxied, connectionsMax, ready };
    if (unix !== undefined) listenUnix({ ...options, ...unix });
    else listen({ ...options, host, port });
  });
}

/**
 * Finds out at once whether the ports can be had, so that `skein up` fails within milliseconds and not when the node has
 * become ready. Whoever connects in this instant is reset, as if the port had still been closed.
 *
 * @throws {SkeinError} ERR_SKEIN_PORT_IN_USE, ERR_SKEIN_LISTEN
 */
export async function checkListeners(
  configs: readonly ListenerConfig[],
  certificates: ListenerCertificates,
): Promise<void> {
  for (const config of configs) {
    const accepted = (stream: Stream): void => stream.reset();
    (await open(config, { accepted, tls: certificates.of(config) })).close();
  }
}

/** What the listeners of a node have in common. */
export interface ListenerParts {
  readonly broker: Broker;
  readonly certificates: ListenerCertificates;
  /** May have other nodes serve what comes in, and has this node serve what others pass on. */
  readonly balancing: ClientBalancing | undefined;
  /** Of connections that came to nothing. */
  readonly refusals: LogThrottle;
}

/**
 * Opens all listeners or none. Returns them in the order of `configs`.
 *
 * @throws {SkeinError} ERR_SKEIN_PORT_IN_USE, ERR_SKEIN_LISTEN
 */
export async function openListeners(
  configs: readonly ListenerConfig[],
  parts: ListenerParts,
): Promise<readonly StreamListener[]> {
  const opened: StreamListener[] = [];
  try {
    for (const config of configs) opened.push(await openListener(config, parts));
    return opened;
  } catch (error) {
    for (const listener of opened) listener.close();
    throw error;
  }
}

async function openListener(config: ListenerConfig, parts: ListenerParts): Promise<ClientListener> {
  const { broker, certificates, balancing, refusals } = parts;
  const { protocol, host, allowAnonymous, acknowledges, isProxied } = config;
  const listener = {
    allowAnonymous,
    acknowledges,
    isPlain: protocol === "mqtt" && !isProxied,
    name: listenerName(config, config.port),
    port: portOf(config, config.port),
  };
  const client = await open(config, {
    accepted: (stream) => broker.accept(stream, listener),
    refused: (remoteAddress, reason) => {
      const { name } = listener;
      refusals.warn(`${name} ${reason}`, { remoteAddress, listener: name, reason }, "connection refused");
    },
    tls: certificates.of(config),
    divert: (socket, serve) => protocol !== "unix" && balancing?.divert(protocol, socket, serve) === true,
  });
  listener.port = portOf(config, client.port);
  listener.name = listenerName(config, client.port);
  // Who may not come to a node directly may not come through another one either.
  if (protocol !== "unix" && !isProxied && !isLoopback(host)) balancing?.takeIn(protocol, client);
  return client;
}

/** The one that its clients connect to themselves: a Unix socket has none, and behind a proxy they connect to that. */
function portOf({ unix, isProxied }: ListenerConfig, port: number): number | undefined {
  return unix === undefined && !isProxied ? port : undefined;
}
