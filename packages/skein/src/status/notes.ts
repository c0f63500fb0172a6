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
    ...clockNotes(node, ownReport.wallMs, clocks),
    ...others.flatMap((member) => notesOfOther(member, inputs)),
  ];
}

function notesOfOther(
  { id, name, isRelayed }: StatusInputs["members"][number],
  { reportOf, ownReport }: StatusInputs,
): readonly Note[] {
  const notes: Note[] = [];
  const report = reportOf(id);
  const add = (what: string, text: string): void => void notes.push({ subject: `${what} ${id}`, text });
  if (isRelayed)
    add(
      "relayed",
      `This node cannot reach ${name} directly; another node passes everything on. Is there a firewall, or client isolation on the Wi-Fi?`,
    );
  if (report === undefined) return notes;
  if (report.version !== ownReport.version)
    add("version", `${name} runs Skein ${report.version}, this node ${ownReport.version}.`);
  if (report.addressProblem !== "") add("address", `${name}: ${report.addressProblem}`);
  return notes;
}
