/**
 * What each listener does, with the settings of the node for what its own URL does not say.
 *
 * Without users whoever reaches a listener gets in, so without `allow-anonymous` only programs on this machine may. With users, or where
 * clients need a certificate, a listener may be open to the network, and who proves nothing is refused (architecture.md section 7).
 */

import { SkeinError } from "@skein/kernel";
import type { CertificateFiles, IdentityKind } from "@skein/platform";
import { formatHostPort, isLoopback, Problem } from "./addresses.ts";
import type { ListenProtocol, ListenUrl } from "./listen-url.ts";
import type { ParsedSettings } from "./schema.ts";

export interface ListenerConfig {
  readonly protocol: ListenProtocol;
  /** Empty for a Unix socket. */
  readonly host: string;
  /** 0 for a Unix socket. */
  readonly port: number;
  /** Undefined: it is no Unix socket. */
  readonly unix: { readonly path: string; readonly mode: number } | undefined;
  /** Clients get in without proving who they are. */
  readonly allowAnonymous: boolean;
  /** Undefined: no bound of its own. */
  readonly clientsMax: number | undefined;
  /** When publishes are acknowledged. */
  readonly acknowledges: "local" | "mesh";
  /** Connections begin with a PROXY header. */
  readonly isProxied: boolean;
  /** Undefined: connections are not encrypted. */
  readonly tls: ListenerTls | undefined;
}

export interface ListenerTls extends CertificateFiles {
  /** What in a client's certificate is its user name. */
  readonly identity: IdentityKind;
}

type NodeSettings = Pick<
  ParsedSettings,
  "listen" | "allow-anonymous" | "scram-users" | "tls-cert" | "tls-key" | "tls-client-ca"
>;

const DEFAULT_LISTENER: ListenUrl = {
  protocol: "mqtt",
  host: undefined,
  port: 1883,
  path: undefined,
  options: {},
};
/** Who belongs to the group of the node may connect to a Unix socket. */
const UNIX_MODE = 0o660;

/** `origin`: how the operator would call the place the listeners came from. @throws {SkeinError} ERR_SKEIN_CONFIG */
export function resolveListeners(settings: NodeSettings, origin: string): readonly ListenerConfig[] {
  return (settings.listen ?? [DEFAULT_LISTENER]).map((url) => {
    const config = resolveListener(url, settings);
    if (!(config instanceof Problem)) return config;
    throw new SkeinError("ERR_SKEIN_CONFIG", `Cannot use ${origin} "${urlAsGiven(url)}": ${config.text}.`);
  });
}

/** How a listener is called, without its options. `port`: the one that it really got. */
export function listenerName(
  { protocol, host, unix }: Pick<ListenerConfig, "protocol" | "host" | "unix">,
  port: number,
): string {
  return unix === undefined ? `${protocol}://${formatHostPort({ host, port })}` : `unix://${unix.path}`;
}

/** Whether other machines may simply connect to it: such a port is what nodes tell each other and mDNS tells everybody. */
export function isPlainForOthers({ protocol, host, isProxied }: ListenerConfig): boolean {
  return protocol === "mqtt" && !isProxied && !isLoopback(host);
}

function resolveListener(url: ListenUrl, settings: NodeSettings): ListenerConfig | Problem {
  const { protocol, port, path, options } = url;
  const tls = resolveTls(url, settings);
  if (tls instanceof Problem) return tls;
  const hasUsers = settings["scram-users"] !== undefined;
  /** Clients can prove who they are. */
  const isIdentified = tls?.clientCa !== undefined || hasUsers;
  const isForAnybody = options.anonymous ?? settings["allow-anonymous"];
  const host =
    path === undefined ? (url.host ?? (isForAnybody || isIdentified ? "0.0.0.0" : "127.0.0.1")) : "";
  const isLocal = path !== undefined || isLoopback(host);
  if (!isIdentified && options.anonymous === false)
    return new Problem(
      "nobody could come in, for there are no users; add --scram-users FILE or leave anonymous=false out",
    );
  if (!isIdentified && !isForAnybody && !isLocal) {
    return new Problem(
      "it would let anybody on the network in without a password; " +
        "add --allow-anonymous if you want that, or listen on 127.0.0.1",
    );
  }
  return {
    protocol,
    host,
    port,
    unix: path === undefined ? undefined : { path, mode: options.mode ?? UNIX_MODE },
    allowAnonymous: !isIdentified || (isForAnybody && hasUsers),
    clientsMax: options.maxClients,
    acknowledges: options.ack ?? "mesh",
    isProxied: options.proxy ?? false,
    tls,
  };
}

/** The files of an encrypted listener. A certificate and the key of its own go together: the node's key does not fit it. */
function resolveTls(
  { protocol, options }: ListenUrl,
  settings: NodeSettings,
): ListenerTls | undefined | Problem {
  if (protocol !== "mqtts" && protocol !== "wss") return undefined;
  const certificate = options.cert ?? settings["tls-cert"];
  if (certificate === undefined) {
    return new Problem(
      `it has no certificate; add --tls-cert FILE and --tls-key FILE, or to this listener ?cert=FILE&key=FILE`,
    );
  }
  const key = options.key ?? (options.cert === undefined ? settings["tls-key"] : undefined) ?? certificate;
  const clientCa = options.clientCa ?? settings["tls-client-ca"];
  if (clientCa === undefined && options.identity !== undefined)
    return new Problem("identity needs certificates of clients; add client-ca=FILE");
  return { certificate, key, clientCa, identity: options.identity ?? "cn" };
}

function urlAsGiven({ protocol, host = "", port, path }: ListenUrl): string {
  return path === undefined ? `${protocol}://${formatHostPort({ host, port })}` : `unix://${path}`;
}
