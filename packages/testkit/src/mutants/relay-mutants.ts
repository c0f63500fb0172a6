/** Bugs planted where two nodes that cannot reach each other talk through a third. */

import type { Mutant } from "./mutate.ts";

const MESH = "packages/mesh/src";

export const RELAY_MUTANTS: readonly Mutant[] = [
  {
    name: "nobody looks for a relay",
    breaks: "P4: a pair that cannot reach each other misses each other's messages",
    file: `${MESH}/relay/relaying.ts`,
    search: "      else this.#search.unreached(id, link !== undefined, now);\n",
    replacement: "",
    scenario: "isolation",
  },
  {
    name: "a relay passes everything on twice",
    breaks: "P4: the stream through it is in pieces",
    file: `${MESH}/relay/relays.ts`,
    search: "    writeFrame(direct, { ...head, isSecondHop: true, node: from }, (out) => out.raw(rest));",
    replacement:
      "    for (const _ of [1, 2])\n" +
      "      writeFrame(direct, { ...head, isSecondHop: true, node: from }, (out) => out.raw(rest));",
    and: {
      file: `${MESH}/relay/relayed-stream.ts`,
      search: "if (offset !== this.#received) {",
      replacement: "if (offset > this.#received) {",
    },
    scenario: "isolation",
  },
  {
    name: "the newest comes first on a relayed link",
    breaks: "P5, P7: what is sent again is out of order, and what was overtaken counts as seen",
    file: `${MESH}/forwarding/forwarder.ts`,
    search: "for (const frame of peer.outbound.unacknowledged()) writeFrame(link, frame);",
    replacement:
      "const frames = [...peer.outbound.unacknowledged()];\n" +
      "    if (link.relay !== undefined) frames.reverse();\n" +
      "    for (const frame of frames) writeFrame(link, frame);",
    scenario: "detours",
  },
  {
    name: "a relayed link begins at 0",
    breaks: "P6: what came over the direct link comes again",
    file: `${MESH}/conversations.ts`,
    search: "lastSequence: peer.inbound.last,",
    replacement: "lastSequence: link.relay === undefined ? peer.inbound.last : (peer.inbound.reset(), 0),",
    scenario: "isolation",
  },
];
