/**
 * The node's log: pino behind the kernel's Log port.
 *
 * Lines for people on a terminal, JSON everywhere else. Written synchronously, because the last line before an exit is
 * the one that matters. Whatever is called like a secret is cut out, wherever it came from.
 */

import type { Log } from "@skein/kernel";
import pino from "pino";

type LogLevel = "error" | "warn" | "info" | "debug";

/** A log that can also say the last words of a process. */
export interface NodeLog extends Log {
  fatal(fields: Readonly<Record<string, unknown>>, message: string): void;
  /** The same log with `component` on each line. */
  component(name: string): NodeLog;
}

const SECRETS = ["key", "meshKey", "mesh-key", "psk", "password", "payload"];
const REDACTED_PATHS = SECRETS.flatMap((name) => {
  const quoted = `["${name}"]`;
  return [quoted, `*${quoted}`, `*.*${quoted}`];
});

export interface LogSettings {
  readonly level: LogLevel;
  /** Where lines go: a terminal gets text, everything else JSON. */
  readonly isTerminal: boolean;
  readonly isColored: boolean;
  /** Receives each JSON line instead of standard output; for tests. */
  readonly write?: (line: string) => void;
}

/** Opens the log on standard output. */
export async function openLog(settings: LogSettings): Promise<NodeLog> {
  const options: pino.LoggerOptions = {
    level: settings.level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: REDACTED_PATHS, censor: "[redacted]" },
    serializers: { error: pino.stdSerializers.err },
  };
  return wrap(pino(options, await destination(settings)));
}

async function destination(settings: LogSettings): Promise<pino.DestinationStream> {
  if (settings.write !== undefined) return { write: settings.write };
  if (!settings.isTerminal) return pino.destination({ dest: 1, sync: true });
  const { default: pretty } = await import("pino-pretty");
  return pretty({
    sync: true,
    singleLine: true,
    colorize: settings.isColored,
    translateTime: "SYS:HH:MM:ss.l",
    destination: 1,
  });
}

function wrap(logger: pino.Logger): NodeLog {
  return {
    error: (fields, message) => logger.error(fields, message),
    warn: (fields, message) => logger.warn(fields, message),
    info: (fields, message) => logger.info(fields, message),
    debug: (fields, message) => logger.debug(fields, message),
    fatal: (fields, message) => logger.fatal(fields, message),
    component: (name) => wrap(logger.child({ component: name })),
  };
}
