/** `skein up`: runs one node until it is asked to stop. */

import { hostname } from "node:os";
import { startNode } from "../compose.ts";
import { loadConfig } from "../config/load-config.ts";
import type { SettingName } from "../config/settings.ts";
import { openLog } from "../pino-log.ts";
import { stopSignal } from "../shutdown.ts";
import { EXIT_OK } from "./exit-codes.ts";

/** @throws {SkeinError} when the node cannot start: bad settings, a port in use, an unusable data directory. */
export async function up(flags: Readonly<Partial<Record<SettingName, unknown>>>): Promise<number> {
  const stopped = stopSignal();
  const config = loadConfig({
    flags,
    environment: process.env,
    hostName: hostname().split(".")[0] ?? "node",
  });
  const isTerminal = process.stdout.isTTY === true;
  const { NO_COLOR = "" } = process.env;
  const isColored = isTerminal && NO_COLOR === "";
  const log = await openLog({ level: config.logLevel, isTerminal, isColored });
  const node = await startNode(config, log);
  const end = await Promise.race([stopped, node.failed]);
  if (end instanceof Error) log.error({ error: end }, "stopping after a failure");
  else log.info({ signal: end }, "stopping");
  await node.stop();
  log.info({}, "stopped");
  if (end instanceof Error) throw end;
  return EXIT_OK;
}
