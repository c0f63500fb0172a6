/** `skein merge` and `skein conflicts`, as sentences for people or as JSON. */

import type { ShownConflict } from "../admin/merge-routes.ts";
import type { NodeStatus } from "../node-status.ts";
import { adminAddress, askNode, tellNode } from "./admin-client.ts";
import { EXIT_OK } from "./exit-codes.ts";
import { printable } from "./printable.ts";
import { formatTable } from "./table.ts";

interface NodeOptions {
  readonly http?: string;
  readonly json?: boolean;
}

const PAYLOAD_LETTERS_MAX = 40;

export async function merge(options: NodeOptions & { readonly approve?: boolean }): Promise<number> {
  const address = adminAddress(options.http, process.env);
  if (options.approve === true) {
    const { approved } = (await tellNode(address, "/api/merge")) as { readonly approved: string };
    print(
      options.json === true
        ? JSON.stringify({ approved })
        : `Approved. The two clusters merge now; follow it with: skein status. The other one: ${approved}`,
    );
    return EXIT_OK;
  }
  const { merge: state, conflicts: count } = (await askNode(address, "/api/status")) as NodeStatus;
  if (options.json === true) print(JSON.stringify({ merge: state, conflicts: count }));
  else if (state === null) print("No other cluster of this mesh is in sight.");
  else
    print(
      `Another cluster is in sight (${state.other}): ${state.state}. If it is yours: skein merge --approve`,
    );
  return EXIT_OK;
}

export async function conflicts(options: NodeOptions & { readonly clear?: boolean }): Promise<number> {
  const address = adminAddress(options.http, process.env);
  if (options.clear === true) {
    const { cleared } = (await tellNode(address, "/api/conflicts/clear")) as { readonly cleared: number };
    print(options.json === true ? JSON.stringify({ cleared }) : `Forgot ${cleared} values.`);
    return EXIT_OK;
  }
  const list = (await askNode(address, "/api/conflicts")) as readonly ShownConflict[];
  if (options.json === true) {
    print(JSON.stringify(list, null, 2));
    return EXIT_OK;
  }
  const { droppedConflicts } = (await askNode(address, "/api/status")) as NodeStatus;
  print(formatConflicts(list, droppedConflicts));
  return EXIT_OK;
}

/** `dropped`: values that are not in `list` any more, because there were too many. */
export function formatConflicts(list: readonly ShownConflict[], dropped: number): string {
  if (list.length === 0) return "No retained values have given way to others.";
  const rows = list.map(({ topic, lost, kept }) => [
    printable(topic),
    lost.isDeletion ? "(deleted)" : textOf(lost.payload),
    timeOf(lost.atMs),
    kept.isDeletion ? "a deletion" : "another value",
    timeOf(kept.atMs),
  ]);
  const table = formatTable([["TOPIC", "LOST VALUE", "WRITTEN", "LOST TO", "OF"], ...rows]);
  const more =
    dropped === 0 ? "" : `${dropped} older ones are not listed any more: there was no room for so many.\n`;
  return `${table}\n\n${more}Publish a value (or delete the topic) again to have it back; forget them all with: skein conflicts --clear`;
}

function textOf(payload: string): string {
  const text = printable(Buffer.from(payload, "base64").toString("utf8"));
  return text.length > PAYLOAD_LETTERS_MAX ? `${text.slice(0, PAYLOAD_LETTERS_MAX)}...` : text;
}

/** The clock of a node may have been anything. */
function timeOf(atMs: number): string {
  return atMs === 0 ? "?" : new Date(atMs).toISOString().slice(0, 19).replace("T", " ");
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
