/**
 * What is not broken but worth knowing, as sentences for the operator: clocks, relayed pairs, other versions, nodes that changed.
 *
 * Each goes into the status for as long as it lasts, and into the log once.
 */

import type { StatusInputs } from "../node-status.ts";
import type { Note } from "./note.ts";
import { clockNotes } from "./wall-clock.ts";

export function notesOf(inputs: StatusInputs): readonly Note[] {
  const { node, ownReport, reportOf, changes } = inputs;
  const others = inputs.members.filter((member) => member.id !== node && member.state === "alive");
  const clocks = others.flatMap((member) => {
    const report = reportOf(member.id);
    return report === undefined ? [] : [{ ...member, offsetMs: report.clockOffsetMs }];
  });
  return [
    ...changes,
    ...forkNote(inputs),
    ...clockNotes(node, ownReport.wallMs, clocks),
    ...others.flatMap((member) => notesOfOther(member, inputs)),
  ];
}

function forkNote({ coordinator: { cluster, forkOf } }: StatusInputs): readonly Note[] {
  if (cluster === undefined || forkOf === undefined) return [];
  const text = `This node founded the mesh anew when its last voters were forgotten (a fork of cluster ${forkOf}). An old voter that comes back after all is merged with it; what then differs is in: skein conflicts`;
  return [{ subject: `fork ${cluster}`, text }];
}

function notesOfOther(
  { id, name, isRelayed, relay }: StatusInputs["members"][number],
  { reportOf, ownReport, members }: StatusInputs,
): readonly Note[] {
  const notes: Note[] = [];
  const report = reportOf(id);
  const add = (what: string, text: string): void => void notes.push({ subject: `${what} ${id}`, text });
  const relayName = members.find((member) => member.id === relay)?.name ?? "another node";
  if (isRelayed)
    add(
      "relayed",
      `This node cannot reach ${name} directly; ${relayName} passes everything on. Is there a firewall, or client isolation on the Wi-Fi?`,
    );
  if (report === undefined) return notes;
  if (report.version !== ownReport.version)
    add("version", `${name} runs Skein ${report.version}, this node ${ownReport.version}.`);
  if (report.isDiverged)
    add(
      "diverged",
      `The data of ${name} differs from the others: it neither votes nor leads until that is mended. On ${name}: skein status`,
    );
  if (report.addressProblem !== "") add("address", `${name}: ${report.addressProblem}`);
  return notes;
}
