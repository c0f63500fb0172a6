/** Bugs planted in the coordinator, the mesh and the broker: around the log, on the links, at the clients. */

import type { Mutant } from "./mutate.ts";

const COORDINATOR = "packages/coordinator/src";
const MESH = "packages/mesh/src";
const BROKER = "packages/broker/src";

export const NODE_MUTANTS: readonly Mutant[] = [
  {
    name: "acknowledge before commit",
    breaks: "P5, P8: an acknowledged retained write is lost with its node",
    file: `${COORDINATOR}/proposals/proposals.ts`,
    search: "this.#pending.push(pending);",
    replacement:
      "this.#pending.push(pending);\n    pending.done = undefined;\n" +
      "    if (done !== undefined) this.#ports.clock.atTurnEnd(() => done.settle(SUCCESS));",
    scenario: "crashes",
  },
  {
    name: "apply out of sequence",
    breaks: "P8: a retried command overtakes (design 4.3, rule 1)",
    file: `${COORDINATOR}/state-machine/sequencer.ts`,
    search: 'if (seq > last + 1) return "gap";',
    replacement: "",
  },
  {
    name: "apply a command twice",
    breaks: "P8: an old value comes back (design 4.3, rule 1)",
    file: `${COORDINATOR}/state-machine/sequencer.ts`,
    search: 'if (through <= last) return "repeated";',
    replacement: "",
    // A leader that knows its own log appends hardly anything twice.
    and: {
      file: `${COORDINATOR}/proposals/admission.ts`,
      search: "if (through <= base) return false;",
      replacement: "if (through <= base && base < 0) return false;",
    },
    scenario: "elections",
    load: "writes",
  },
  {
    name: "deletions are not applied",
    breaks: "P8: a deleted topic stays",
    file: `${COORDINATOR}/state-machine/retained-state.ts`,
    search: "  delete(topic: string): void {",
    replacement: '  delete(topic: string): void {\n    if (topic !== "") return;',
    scenario: "calm",
  },
  {
    name: "a snapshot forgets its newest topic",
    breaks: "P8: a node that was restored misses a value",
    file: `${COORDINATOR}/state-machine/snapshot.ts`,
    search: "return { version, proposers, retained, ...rest, sessions, staged };",
    replacement: "retained.pop();\n  return { version, proposers, retained, ...rest, sessions, staged };",
    load: "writes",
    scenario: "crashes",
  },
  {
    name: "a half decoded state is taken over",
    breaks: "P8: a node that was restored misses all behind the first piece",
    file: `${COORDINATOR}/state-machine/decoded-state.ts`,
    search: "    pieceEnds = retained.bytes + pieceBytes;\n    yield;\n",
    replacement: "    break;\n",
    load: "writes",
    scenario: "decoding",
  },
  {
    name: "a wiped voter returns under its old id",
    breaks: "leader completeness: its votes and entries are forgotten (design 1.10)",
    file: `${COORDINATOR}/replica/replica-files.ts`,
    search: "if (state.snapshot.index > 0 || state.entries.length > 0) return opened;",
    replacement: "if (state.snapshot.index >= 0) return opened;",
    and: {
      file: "packages/testkit/src/world/sim-disk.ts",
      search: "  wipe(): void {\n    this.#files.clear();",
      replacement:
        '  wipe(): void {\n    for (const path of this.paths) if (path !== "identity.json") this.#files.delete(path);',
    },
    scenario: "amnesia",
    load: "writes",
  },
  {
    name: "address kept without a lease",
    breaks: "P1: two hold the address for long",
    file: `${COORDINATOR}/address/holding.ts`,
    search: "const age = now - this.#confirmedAt;",
    replacement: "if (this.#isHeld) this.#confirmedAt = now;\n    const age = now - this.#confirmedAt;",
    and: {
      file: `${COORDINATOR}/address/holding.ts`,
      search: "if (!event.isGiven) return this.#release();",
      replacement: "if (!event.isGiven) return this.#isHeld ? this.#hold(now) : [];",
    },
    scenario: "partitions",
  },
  {
    name: "the receiver does not drop numbers it has seen",
    breaks: "P6: a resumed link delivers twice",
    file: `${MESH}/link/stream-numbering.ts`,
    search: "if (sequence <= this.#last) return false;",
    replacement: "",
    scenario: "partitions",
  },
  {
    name: "nothing is sent again after a cut",
    breaks: "P5: what was in flight is lost",
    file: `${MESH}/forwarding/forwarder.ts`,
    search: "for (const frame of peer.outbound.unacknowledged()) writeFrame(link, frame);",
    replacement: "peer.outbound.acknowledge(Number.MAX_SAFE_INTEGER);",
    // Cuts alone: beside partitions hardly any node is undisturbed for long enough to be judged.
    scenario: "cuts",
  },
  {
    name: "resume from 0",
    breaks: "P6: the receiver forgets on every link what it has seen",
    file: `${MESH}/forwarding/forwarder.ts`,
    search: "    peer.outbound.resume(lastSequence);\n",
    replacement: "    peer.inbound.reset();\n",
    scenario: "partitions",
  },
  {
    name: "PUBACK before the peers have it",
    breaks: "P5: an acknowledged message is lost with its node",
    file: `${BROKER}/broker.ts`,
    search: "const parts = forwarder.forward(message, awaited, choice);",
    replacement:
      "const parts = 0 * forwarder.forward(message, awaited === undefined ? undefined : UNAWAITED, choice);",
    scenario: "talk",
  },
  {
    name: "SUBACK before the barrier",
    breaks: "P4: a publish right after the SUBACK is missed",
    file: `${MESH}/interest/interest-exchange.ts`,
    search: "      this.#barrierOf(peer.id).wait(version, done);\n      waits++;",
    replacement: "      if (version < 0) this.#barrierOf(peer.id).wait(version, done);",
    scenario: "calm",
  },
  {
    name: "rows are not sent when a link comes up",
    breaks: "P4: a node that was away never learns the interest of its peers",
    file: `${MESH}/interest/interest-exchange.ts`,
    search: "if (heldVersion !== this.#local.version) this.#sendRows(link, this.#owner.node);",
    replacement: "peer.interestAcked = this.#local.version;\n    barrier.acknowledged(peer.interestAcked);",
    // Otherwise the rows come a moment later.
    and: {
      file: `${MESH}/interest/interest-exchange.ts`,
      search:
        "    if (this.#remote.versionOf(row.node, row.incarnation) < row.interestVersion) this.#pull(link, row.node);\n",
      replacement: "",
    },
    scenario: "crashes",
  },
  {
    name: "a full window lets messages overtake",
    breaks: "P7: what is queued is overtaken",
    file: `${BROKER}/sessions/session.ts`,
    search: "this.#isOwing() || !this.#hasWindow",
    replacement: "!this.#hasWindow",
    scenario: "cuts",
  },
];
