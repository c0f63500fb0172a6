/**
 * Which values a node's settings may have: the one schema that file, environment and flags all pass.
 *
 * Strings are accepted everywhere, because two of the three sources know nothing else. The result is frozen and its
 * fields are named as the rest of the program names them; load-config.ts turns what is wrong into sentences.
 */

import { z } from "zod";
import {
  type FloatingAddressSetting,
  formatHostPort,
  type HostPort,
  LINK_PORT,
  type ListenUrl,
  Problem,
  parseFloatingAddress,
  parseHostPort,
  parseListenUrl,
  parsePeer,
} from "./addresses.ts";
import type { SettingName } from "./settings.ts";

/** Listeners, peers: more than anybody needs, few enough to start each. */
const LIST_ITEMS_MAX = 64;
const NAME_LENGTH_MAX = 63;

/** A string that `parse` understands. */
function parsed<Output>(parse: (text: string) => Output | Problem) {
  return z.string({ error: "it must be text" }).transform((text, context): Output => {
    const result = parse(text.trim());
    if (!(result instanceof Problem)) return result;
    context.issues.push({ code: "custom", message: result.text, input: text });
    return z.NEVER;
  });
}

/** One item, several separated by commas, or a list. */
function listOf<Output>(item: z.ZodType<Output, string>) {
  return z
    .union([z.string(), z.array(z.string())], { error: "it must be text or a list of texts" })
    .transform((input) => (typeof input === "string" ? input.split(",") : input))
    .pipe(z.array(item).max(LIST_ITEMS_MAX, { error: `it has more than ${LIST_ITEMS_MAX} entries` }));
}

const name = parsed((text) =>
  text === "" || text.length > NAME_LENGTH_MAX || /[\p{C}]/u.test(text)
    ? new Problem(`it must have 1 to ${NAME_LENGTH_MAX} printable characters`)
    : text,
);
const path = parsed((text) => (text === "" ? new Problem("it must not be empty") : text));
const onOff = z.union([z.boolean(), z.stringbool()], { error: "it must be true or false" }).default(false);

const fields = {
  name,
  "data-dir": path.optional(),
  listen: listOf<ListenUrl>(parsed(parseListenUrl)).optional(),
  "allow-anonymous": onOff,
  mesh: name.default("home"),
  "mesh-key": parsed((text) =>
    /^[0-9a-f]{64}$/i.test(text) || /^@./.test(text)
      ? text
      : new Problem("it must be 64 hexadecimal digits, or @FILE with a file that holds them"),
  ).optional(),
  link: parsed<HostPort>(parseHostPort).default({ host: "0.0.0.0", port: LINK_PORT }),
  peer: listOf<string>(
    parsed((text) => {
      const peer = parsePeer(text);
      return peer instanceof Problem ? peer : formatHostPort(peer);
    }),
  ).default([]),
  "no-mdns": onOff,
  vip: parsed<FloatingAddressSetting>(parseFloatingAddress).optional(),
  balance: z.enum(["off", "proxy"], { error: "it must be off or proxy" }).default("off"),
  redirect: onOff,
  http: parsed<HostPort>(parseHostPort).default({ host: "127.0.0.1", port: 7880 }),
  "http-actions": z.enum(["local", "any"], { error: "it must be local or any" }).default("local"),
  "log-level": z
    .enum(["error", "warn", "info", "debug"], { error: "it must be error, warn, info or debug" })
    .default("info"),
  timing: z.enum(["lan", "wired"], { error: "it must be lan or wired" }).default("lan"),
  durability: z
    .enum(["replicated", "disk"], { error: "it must be replicated or disk" })
    .default("replicated"),
} satisfies Record<Exclude<SettingName, "config">, z.ZodType>;

export const configSchema = z.strictObject(fields);

/** Settings as the schema returns them, still under the operator's names. */
export type ParsedSettings = z.output<typeof configSchema>;
