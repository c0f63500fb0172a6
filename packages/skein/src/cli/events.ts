/** `skein events`: the fail-over log of a node, as lines for people or as JSON. */

import type { ShownEvent } from "../admin/event-routes.ts";
import { stopSignal } from "../shutdown.ts";
import { adminAddress, askNode } from "./admin-client.ts";
import { EXIT_OK } from "./exit-codes.ts";
import { printable } from "./printable.ts";
import { wholeNumber } from "./whole-number.ts";

export interface EventsOptions {
  readonly http?: string;
  readonly json?: boolean;
  readonly limit: string;
  readonly follow?: boolean;
}

const LIMIT_MAX = 1000;
const LOOK_EVERY_MS = 1000;

export async function events(options: EventsOptions): Promise<number> {
  const limit = wholeNumber("--limit", options.limit, 1, LIMIT_MAX);
  const address = adminAddress(options.http, process.env);
  const ask = async (): Promise<readonly ShownEvent[]> =>
    (await askNode(address, `/api/events?limit=${limit}`)) as readonly ShownEvent[];
  const first = await ask();
  if (options.follow !== true) {
    print(options.json === true ? JSON.stringify(first, null, 2) : formatEvents(first));
    return EXIT_OK;
  }
  await follow(first, ask, options.json === true);
  return EXIT_OK;
}

/** One line for each event; a day is named where it changes. */
function formatEvents(list: readonly ShownEvent[]): string {
  if (list.length === 0) return "Nothing has happened yet.";
  let day = "";
  return list
    .flatMap((event) => {
      const { date, line } = lineOf(event);
      if (date === day) return [line];
      day = date;
      return [date, line];
    })
    .join("\n");
}

/** What is known already is printed at once; then each event when it is complete. */
async function follow(
  first: readonly ShownEvent[],
  ask: () => Promise<readonly ShownEvent[]>,
  isJson: boolean,
): Promise<void> {
  const said = new Map<string, string>();
  const sayNew = (list: readonly ShownEvent[]): void => {
    for (const event of list) {
      if (!event.isOver || said.get(event.id) === event.text) continue;
      said.set(event.id, event.text);
      print(isJson ? JSON.stringify(event) : lineOf(event).line);
    }
  };
  sayNew(first);
  let isStopped = false;
  const stopped = stopSignal().then(() => {
    isStopped = true;
  });
  while (!isStopped) {
    await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))]);
    if (!isStopped) sayNew(await ask());
  }
}

function lineOf(event: ShownEvent): { readonly date: string; readonly line: string } {
  const at = new Date(event.startMs);
  const two = (value: number): string => String(value).padStart(2, "0");
  const date = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  const time = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  // Names and details come from other machines.
  return { date, line: printable(`${time}${event.isClockDoubtful ? "?" : " "} ${event.text}`) };
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
