/** What a peer view says of a node that has told nothing about its machine. */

import type { PeerView } from "../../src/index.ts";

export const UNKNOWN_MACHINE: Pick<
  PeerView,
  "isRelayed" | "machine" | "isWired" | "flushP99Ms" | "rttMs" | "uptimeMs" | "protocolVersion"
> = {
  isRelayed: false,
  machine: "",
  isWired: undefined,
  flushP99Ms: 0,
  rttMs: undefined,
  uptimeMs: 0,
  protocolVersion: 3,
};
