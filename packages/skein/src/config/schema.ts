/**
 * Which values a node's settings may have: the one schema that file, environment and flags all pass.
 *
 * Strings are accepted everywhere, because two of the three sources know nothing else. The result is frozen and its
 * fields are named as the rest of the program names them; load-config.ts turns what is wrong into sentences.
 */

import { isValidTopicName } from "@skein/kernel";
import * as v from "valibot";
import {
  type FloatingAddressSetting,
  formatHostPort,
  type HostPort,
  LINK_PORT,
  Problem,
  parseFloatingAddress,
  parseHostPort,
  parsePeer,
} from "./addresses.ts";
import { type ListenUrl, parseListenUrl } from "./listen-url.ts";
import { parseCount, parseSeconds, parseSize } from "./quantities.ts";
import type { SettingName } from "./settings.ts";

/** Listeners, peers: more than anybody needs, few enough to start each. */
const LIST_ITEMS_MAX = 64;
const NAME_LENGTH_MAX = 63;
const INTERVAL_SECONDS_MAX = 3600;
/** Less than what MQTT.js, Home Assistant and Zigbee2MQTT send helps nobody; more than this MQTT cannot say. */
const PACKET_BYTES_MIN = 1_024;
const PACKET_BYTES_MAX = 268_435_460;
const TRUE_OR_FALSE = "it must be true or false";

/** A string that `parse` understands. */
function parsed<Output>(parse: (text: string) => Output | Problem) {
  return v.pipe(
    v.string("it must be text"),
    v.rawTransform<string, Output>(({ dataset, addIssue, NEVER }) => {
      const result = parse(dataset.value.trim());
      if (!(result instanceof Problem)) return result;
      addIssue({ message: result.text });
      return NEVER;
    }),
  );
}

/** One item, several separated by commas, or a list. */
function listOf<Output>(item: v.GenericSchema<string, Output>) {
  return v.pipe(
    v.union([v.string(), v.array(v.string())], "it must be text or a list of texts"),
    v.transform((input) => (typeof input === "string" ? input.split(",") : input)),
    v.array(item),
    v.maxLength(LIST_ITEMS_MAX, `it has more than ${LIST_ITEMS_MAX} entries`),
  );
}

/** One of some words; the first is the default. */
function oneOf<const Options extends readonly [string, ...string[]]>(options: Options, sentence: string) {
  return v.optional(v.picklist(options, sentence), options[0]);
}

const name = parsed((text) =>
  text === "" || text.length > NAME_LENGTH_MAX || /[\p{C}]/u.test(text)
    ? new Problem(`it must have 1 to ${NAME_LENGTH_MAX} printable characters`)
    : text,
);
const path = parsed((text) => (text === "" ? new Problem("it must not be empty") : text));
const word = parsed((text) => {
  if (/^(true|yes|on|1)$/i.test(text)) return true;
  return /^(false|no|off|0)$/i.test(text) ? false : new Problem(TRUE_OR_FALSE);
});
const onOff = v.optional(v.union([v.boolean(), word], TRUE_OR_FALSE), false);

const fields = {
  name,
  "data-dir": v.optional(path),
  listen: v.optional(listOf<ListenUrl>(parsed(parseListenUrl))),
  "allow-anonymous": onOff,
  "scram-users": v.optional(path),
  "tls-cert": v.optional(path),
  "tls-key": v.optional(path),
  "tls-client-ca": v.optional(path),
  mesh: v.optional(name, "home"),
  "mesh-key": v.optional(
    parsed((text) =>
      /^[0-9a-f]{64}$/i.test(text) || /^@./.test(text)
        ? text
        : new Problem("it must be 64 hexadecimal digits, or @FILE with a file that holds them"),
    ),
  ),
  link: v.optional(parsed<HostPort>(parseHostPort), `0.0.0.0:${LINK_PORT}`),
  peer: v.optional(
    listOf<string>(
      parsed((text) => {
        const peer = parsePeer(text);
        return peer instanceof Problem ? peer : formatHostPort(peer);
      }),
    ),
    [],
  ),
  "no-mdns": onOff,
  vip: v.optional(parsed<FloatingAddressSetting>(parseFloatingAddress)),
  balance: oneOf(["off", "proxy"], "it must be off or proxy"),
  redirect: onOff,
  "max-clients": v.optional(parsed((text) => parseCount(text, 1, 1_000_000))),
  "max-connects-per-second": v.optional(parsed((text) => parseCount(text, 0, 1_000_000))),
  "max-packet": v.optional(parsed((text) => parseSize(text, PACKET_BYTES_MIN, PACKET_BYTES_MAX))),
  "max-queue": v.optional(parsed((text) => parseCount(text, 1, 10_000_000))),
  "max-queue-bytes": v.optional(parsed((text) => parseSize(text, 1_024, 2 ** 32))),
  "max-queue-total": v.optional(parsed((text) => parseSize(text, 1_024, 2 ** 40))),
  "max-store": v.optional(parsed((text) => parseSize(text, 2 ** 20, 2 ** 30))),
  "max-session-expiry": v.optional(parsed((text) => parseSeconds(text, 1, 0xffff_fffe))),
  "response-topics": v.optional(
    parsed((text) =>
      isValidTopicName(text) ? text : new Problem("it must be a topic: not empty, without + and #"),
    ),
  ),
  http: v.optional(parsed<HostPort>(parseHostPort), "127.0.0.1:7880"),
  "http-actions": oneOf(["local", "any"], "it must be local or any"),
  "sys-interval": v.optional(
    parsed((text) => parseSeconds(text, 0, INTERVAL_SECONDS_MAX)),
    "10",
  ),
  "log-level": v.optional(
    v.picklist(["error", "warn", "info", "debug"], "it must be error, warn, info or debug"),
    "info",
  ),
  timing: oneOf(["lan", "wired"], "it must be lan or wired"),
  durability: oneOf(["replicated", "disk"], "it must be replicated or disk"),
  "on-quorum-loss": oneOf(["outbox", "hold"], "it must be outbox or hold"),
} satisfies Record<Exclude<SettingName, "config">, v.ObjectEntries[string]>;

export const configSchema = v.strictObject(fields);

/** Settings as the schema returns them, still under the operator's names. */
export type ParsedSettings = v.InferOutput<typeof configSchema>;
