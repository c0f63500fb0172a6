/** Why a newcomer did not get in, as one sentence with the next command. */

import { type ErrorCode, SkeinError } from "@skein/kernel";
import type { JoinOutcome, JoinResult } from "@skein/mesh";
import type { NodeConfig } from "../config/load-config.ts";

type Asked = Pick<NodeConfig, "peers" | "isMdnsEnabled">;

/** `result` is undefined if nobody was found to ask. */
export function explainOutcome(result: JoinResult | undefined, asked: Asked): SkeinError {
  if (result === undefined) return new SkeinError("ERR_SKEIN_NOT_REACHABLE", nothingFound(asked));
  const [code, text] = sentence(result.outcome, result.address);
  return new SkeinError(code, text);
}

function nothingFound({ isMdnsEnabled }: Asked): string {
  return isMdnsEnabled
    ? "No mesh with an invitation was found on this network. Run skein invite on a node of the mesh; if this network drops multicast, name that node: skein up --join CODE --peer HOST"
    : "With --no-mdns this node cannot search for the mesh. Name a node of it: skein up --join CODE --peer HOST";
}

function sentence(
  outcome: Exclude<JoinOutcome, { kind: "welcome" }> | JoinOutcome,
  address: string,
): readonly [ErrorCode, string] {
  switch (outcome.kind) {
    case "wrongCode":
      return [
        "ERR_SKEIN_REFUSED",
        `The code is not the one that ${address} expects. Type it again as skein invite shows it, or make a new one there: skein invite`,
      ];
    case "wait":
      return [
        "ERR_SKEIN_REFUSED",
        `${address} takes no code from this machine for another ${outcome.seconds} s, after too many wrong ones. Wait, then try again: skein up --join CODE`,
      ];
    case "noInvitation":
      return ["ERR_SKEIN_REFUSED", `${address} has no invitation. Make one there first: skein invite`];
    case "unreachable":
      return [
        "ERR_SKEIN_NOT_REACHABLE",
        `No node of a mesh answers on ${address}: ${outcome.reason}. Give the address and link port of a running node: skein up --join CODE --peer HOST`,
      ];
    case "refused":
      return ["ERR_SKEIN_REFUSED", REFUSALS[outcome.reason]];
    case "welcome":
      return ["ERR_SKEIN_REFUSED", `${address} let this node in.`];
  }
}

const REFUSALS = {
  used: "This code has been used already; each lets one device in. Make a new one on a node of the mesh: skein invite",
  expired:
    "This code has expired; it is valid for 30 minutes. Make a new one on a node of the mesh: skein invite",
  revoked: "This code has been revoked. Make a new one on a node of the mesh: skein invite",
  void: "This code is void, because too many wrong ones were tried. Make a new one on a node of the mesh: skein invite",
  version:
    "The mesh speaks another version of the protocol than this node. Update Skein on the older one; compare: skein version",
  notReady:
    "The node that was asked has not found its own mesh yet. Try again in a few seconds: skein up --join CODE",
} as const;
