/**
 * What would happen if one node failed now: the question behind "is my house fine?".
 *
 * A pure function of who votes, who is alive and up to date, and who may hold the address. It says only what follows from
 * the rules (a majority of the voters elects; every member serves alone; the coordinator holds the address), so that the simulator
 * can hold it to its word: it predicts, kills the node, and looks 30 s later (simulations/what-if.test.ts).
 */

export interface WhatIfNode {
  readonly id: string;
  readonly name: string;
  /** It answers. One that is suspect does not. */
  readonly isAlive: boolean;
  readonly isVoter: boolean;
  /** It has all that was acknowledged, but for the last moments. */
  readonly isUpToDate: boolean;
  /** It can set the floating address. */
  readonly canHoldAddress: boolean;
  /** MQTT clients connected to it. */
  readonly clients: number;
}

export interface WhatIfInput {
  readonly nodes: readonly WhatIfNode[];
  readonly coordinator: string | undefined;
  readonly hasQuorum: boolean;
  /** The mesh has a floating address, and who holds it. */
  readonly hasAddress: boolean;
  readonly holder: string | undefined;
  /** How long an election takes after the silence began, in ms. */
  readonly takeOverMs: number;
}

export interface Consequence {
  readonly id: string;
  readonly name: string;
  /** A coordinator: remains or is elected, is lost, or is missing already. */
  readonly quorum: "stays" | "lost" | "missing";
  /**
   * The floating address: there is none, it stays where it is, it moves, it moves if the right node is elected, it is held without a
   * quorum, or nobody can hold it.
   */
  readonly address: "none" | "stays" | "moves" | "uncertain" | "without quorum" | "lost";
  /** Names of those that may take over. */
  readonly successors: readonly string[];
  /** Clients that have to connect again. */
  readonly clients: number;
  /** Nobody else that is alive has all that was acknowledged. */
  readonly isLastCopy: boolean;
  /** One more failure after it would leave no coordinator. */
  readonly isLastSpare: boolean;
  /** All of it in one sentence. */
  readonly text: string;
}

/** One entry for each node that is alive, in the order of `nodes`. */
export function whatIf(input: WhatIfInput): readonly Consequence[] {
  return input.nodes.filter(({ isAlive }) => isAlive).map((node) => consequenceOf(node, input));
}

function consequenceOf(node: WhatIfNode, input: WhatIfInput): Consequence {
  const others = input.nodes.filter((other) => other.isAlive && other.id !== node.id);
  const votersLeft = others.filter(({ isVoter }) => isVoter).length;
  const majority = Math.floor(input.nodes.filter(({ isVoter }) => isVoter).length / 2) + 1;
  const quorum = !input.hasQuorum ? "missing" : votersLeft >= majority ? "stays" : "lost";
  // Who is elected must have the newest entries; all voters that answer a quorum do, or get them.
  const candidates = quorum === "stays" ? others.filter(({ isVoter }) => isVoter) : others;
  const address = addressOf(node, candidates, quorum, input);
  const isCentral = node.id === input.coordinator || (input.hasAddress && node.id === input.holder);
  const mayHold = candidates.filter(({ canHoldAddress }) => canHoldAddress || !input.hasAddress);
  const facts = {
    id: node.id,
    name: node.name,
    quorum,
    address,
    successors: isCentral ? mayHold.map(({ name }) => name) : [],
    clients: node.clients,
    isLastCopy: !others.some(({ isUpToDate }) => isUpToDate),
    isLastSpare: quorum === "stays" && votersLeft - 1 < majority,
  } as const;
  return { ...facts, text: sentence(facts, others, isCentral, input) };
}

function addressOf(
  node: WhatIfNode,
  candidates: readonly WhatIfNode[],
  quorum: Consequence["quorum"],
  { hasAddress, holder }: WhatIfInput,
): Consequence["address"] {
  if (!hasAddress) return "none";
  const capable = candidates.filter(({ canHoldAddress }) => canHoldAddress);
  if (quorum !== "stays") return capable.length > 0 ? "without quorum" : "lost";
  if (holder !== undefined && holder !== node.id) return "stays";
  if (capable.length === candidates.length) return "moves";
  return capable.length > 0 ? "uncertain" : "lost";
}

function sentence(
  facts: Omit<Consequence, "text">,
  others: readonly WhatIfNode[],
  isCentral: boolean,
  input: WhatIfInput,
): string {
  if (others.length === 0) return "it is the only node: nobody serves clients until it is back";
  const parts = facts.quorum === "stays" ? withQuorum(facts, isCentral, input) : withoutQuorum(facts, others);
  if (facts.isLastCopy) parts.push("it has the only complete copy of the retained messages");
  if (facts.isLastSpare && facts.quorum === "stays") parts.push("a further failure would stop fail-over");
  return parts.join("; ");
}

function withQuorum(facts: Omit<Consequence, "text">, isCentral: boolean, input: WhatIfInput): string[] {
  const { successors, clients, address } = facts;
  const seconds = Math.round(input.takeOverMs / 1000);
  const again = clients === 0 ? "" : `, its ${count(clients)} again`;
  if (!isCentral)
    return [
      clients === 0 ? "nothing changes for clients" : `its ${count(clients)} again, nothing else changes`,
    ];
  const who = alternatives(successors);
  switch (address) {
    case "moves":
      return [`${who} takes the address in about ${seconds} s${again}`];
    case "uncertain":
      return [`the address moves only if ${who} is elected${again}`];
    case "lost":
      return ["no other node can hold the address; use node addresses"];
    default:
      return [`${who} coordinates after about ${seconds} s${again}`];
  }
}

function withoutQuorum(facts: Omit<Consequence, "text">, others: readonly WhatIfNode[]): string[] {
  const { name, address, quorum } = facts;
  const isOne = others.length === 1;
  const serving = isOne ? `${others[0]?.name} goes on serving` : "the others go on serving";
  const holding = isOne
    ? "holds the address without a quorum"
    : "one of them holds the address without a quorum";
  const parts = [serving];
  if (address === "without quorum") parts.push(holding);
  if (address === "lost") parts.push("without the address");
  parts.push(quorum === "missing" ? "still without a coordinator" : "what is new is safe on one node only");
  const advice = quorum === "missing" ? "" : ` (if ${name} is gone for good: skein forget ${name})`;
  return [`${parts.join(", ")}${advice}`];
}

function count(clients: number): string {
  return clients === 1 ? "client connects" : `${clients} clients connect`;
}

function alternatives(names: readonly string[]): string {
  if (names.length > 3) return "another voter";
  if (names.length <= 1) return names[0] ?? "another voter";
  return `${names.slice(0, -1).join(", ")} or ${names.at(-1)}`;
}
