/**
 * Every setting of a node, once: its name, what it takes and what it means.
 *
 * One name in three spellings: `--data-dir` on the command line, `SKEIN_DATA_DIR` in the environment, `data-dir` in
 * skein.yaml. This table feeds the command line and its help, the list of known environment variables and the hints
 * for misspelled names; schema.ts says which values are valid. It imports nothing, so that `skein --help` is quick.
 */

/** How one setting appears on the command line. */
export interface Setting {
  /** Placeholder of its value; undefined: a switch. */
  readonly placeholder: string | undefined;
  /** May be given more than once; in the environment separated by commas. */
  readonly isList: boolean;
  readonly description: string;
}

const value = (placeholder: string, description: string): Setting => ({
  placeholder,
  isList: false,
  description,
});
const list = (placeholder: string, description: string): Setting => ({
  placeholder,
  isList: true,
  description,
});
const flag = (description: string): Setting => ({ placeholder: undefined, isList: false, description });

/** All settings of `skein up`, in the order of its help. */
export const SETTINGS = {
  name: value("NAME", "name of this node (default: the host name)"),
  "data-dir": value(
    "PATH",
    "where the node keeps its data (default: /var/lib/skein if it exists, else ./.skein/NAME)",
  ),
  listen: list(
    "URL",
    "accept MQTT clients: mqtt, mqtts, ws or wss://HOST:PORT?OPTIONS, unix:///PATH (default: mqtt://127.0.0.1:1883)",
  ),
  "allow-anonymous": flag("let clients in without a password, also from other machines"),
  "scram-users": value(
    "FILE",
    "MQTT 5 clients that know a password come in (SCRAM-SHA-256); lines of skein scram-user, read again on SIGHUP",
  ),
  "tls-cert": value("FILE", "certificate of mqtts:// and wss:// listeners, PEM; read again on SIGHUP"),
  "tls-key": value("FILE", "its private key, PEM (default: in the same file)"),
  "tls-client-ca": value(
    "FILE",
    "clients of mqtts:// and wss:// must have a certificate that this authority signed",
  ),
  mesh: value("NAME", 'name of the mesh; nodes of other meshes are ignored (default: "home")'),
  "mesh-key": value(
    "HEX|@FILE",
    "the secret all nodes of the mesh share, 64 hexadecimal digits (default: DATA-DIR/mesh.key)",
  ),
  link: value("HOST:PORT", "accept other nodes (default: 0.0.0.0:7883)"),
  peer: list(
    "HOST[:PORT]",
    "another node to connect to, besides those found on the network (default port: 7883)",
  ),
  "no-mdns": flag("do not look for other nodes on the network"),
  vip: value(
    "ADDRESS%INTERFACE",
    "address that the coordinator holds for the clients, such as 192.168.1.250%eth0",
  ),
  balance: value(
    "MODE",
    "off or proxy; proxy passes clients of the floating address on to the node with the fewest (default: off)",
  ),
  redirect: flag("name another node to MQTT 5 clients whose connection this node must end"),
  "max-clients": value("N", "client connections at a time (default: 20000)"),
  "max-connects-per-second": value(
    "N",
    "connections that one address may open per second, after a burst of 1000; 0: any number (default: 50)",
  ),
  "max-packet": value("SIZE", "largest packet of a client, such as 256k or 4M (default: 1M)"),
  "max-queue": value("N", "QoS 1 and 2 messages that may wait for one client (default: 10000)"),
  "max-queue-bytes": value("SIZE", "and their size (default: 8M)"),
  "max-queue-total": value("SIZE", "and of all clients together (default: 256M)"),
  "max-store": value(
    "SIZE",
    "messages for clients that are away, on every node of the mesh: the smallest counts (default: by memory and disk)",
  ),
  "max-session-expiry": value(
    "TIME",
    "longest life of a session whose client is away, such as 12h or 30d (default: 14d)",
  ),
  "response-topics": value(
    "PREFIX",
    "MQTT 5 clients that ask where they may be answered are told PREFIX/CLIENT-ID (default: they are told nothing)",
  ),
  http: value("HOST:PORT", "status and health over HTTP (default: 127.0.0.1:7880)"),
  "http-actions": value(
    "WHO",
    "local or any: who may change something over HTTP, programs on this machine or on all (default: local)",
  ),
  "sys-interval": value(
    "SECONDS",
    "tell subscribers of $SYS what has changed this often, 0: there is no $SYS (default: 10)",
  ),
  "log-level": value("LEVEL", "error, warn, info or debug (default: info)"),
  timing: value(
    "PROFILE",
    "lan or wired; wired fails over sooner and wants a network without Wi-Fi (default: lan)",
  ),
  durability: value(
    "PROFILE",
    "replicated or disk; disk waits for the disks of a majority before it acknowledges (default: replicated)",
  ),
  "on-quorum-loss": value(
    "WHAT",
    "outbox or hold; without a quorum acknowledge from this node's disk, or let clients wait (default: outbox)",
  ),
  config: value(
    "FILE",
    "read settings from this file (default: ./skein.yaml or DATA-DIR/skein.yaml, if there is one)",
  ),
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;

export const SETTING_NAMES = Object.keys(SETTINGS) as readonly SettingName[];

/** `data-dir` -> `SKEIN_DATA_DIR`. */
export function environmentName(setting: string): string {
  return `SKEIN_${setting.toUpperCase().replaceAll("-", "_")}`;
}
