/** The fail-over log of the nodes (`/api/events`), held against what a test has seen of the same fail-over from outside. */

import { expect } from "vitest";
import { eventually } from "./eventually.ts";
import type { NodeContainer } from "./node-container.ts";

/** The lost node was heard last a moment before; a node looks at its clients ten times a second, and may be kept from its work. */
const TOLERANCE_MS = 1000;

/** Wall clock times, in ms since 1970. */
export interface SeenFailOver {
  /** Ids of who was lost and who took over. */
  readonly from: string;
  readonly to: string;
  readonly startMs: number;
  /** The kernel of the next node had the address. */
  readonly addressMs: number;
  /** A client that only asked whether the address answers was let in for a moment; a node that looks just then counts it. */
  readonly visitorMs: number;
  /** The first of the clients that stay was let in, and the last of them. */
  readonly firstClientMs: number;
  readonly lastClientMs: number;
  readonly clients: number;
}

/** GET /api/events, as far as it is compared. */
interface FailOver {
  readonly kind: string;
  readonly cause: string;
  readonly startMs: number;
  readonly isOver: boolean;
  readonly observer: { readonly id: string };
  readonly nodes: readonly { readonly id: string }[];
  readonly from: { readonly id: string } | null;
  readonly to: { readonly id: string } | null;
  readonly clientsBefore: number;
  readonly clientsBack: number;
  readonly addressAfterMs: number | null;
  readonly firstClientAfterMs: number | null;
  readonly clients95AfterMs: number | null;
}

/** Each of `survivors` tells the same fail-over, as the new holder has measured it, and it is what was `seen`. @returns it, for the log. */
export async function expectFailOver(
  survivors: readonly NodeContainer[],
  seen: SeenFailOver,
): Promise<string> {
  const told = await Promise.all(survivors.map((node) => failOverOf(node, seen)));
  for (const { kind, cause, nodes, from, to, clientsBefore, clientsBack, ...times } of told) {
    expect({ kind, cause, nodes: nodes.map(({ id }) => id), from: from?.id, to: to?.id }).toEqual({
      kind: "failover",
      cause: "silent",
      nodes: [seen.from],
      from: seen.from,
      to: seen.to,
    });
    expect({ clientsBefore, clientsBack }).toEqual({
      clientsBefore: seen.clients,
      clientsBack: seen.clients,
    });
    near("start", times.startMs, seen.startMs);
    near("address", times.addressAfterMs, seen.addressMs - seen.startMs);
    const { visitorMs, firstClientMs } = seen;
    near("first client", times.firstClientAfterMs, visitorMs - seen.startMs, firstClientMs - seen.startMs);
    near("95 % of the clients", times.clients95AfterMs, seen.lastClientMs - seen.startMs);
  }
  const measured = told.map(({ startMs, ...rest }) => rest);
  for (const one of measured) expect(one).toEqual(measured[0]);
  const { addressAfterMs, firstClientAfterMs, clients95AfterMs } = told[0] as FailOver;
  return JSON.stringify({ addressAfterMs, firstClientAfterMs, clients95AfterMs });
}

/** It was seen from `fromMs` to `toMs`. */
function near(what: string, ms: number | null, fromMs: number, toMs = fromMs): void {
  const told = ms ?? Number.NaN;
  const nearest = Math.min(Math.max(told, fromMs), toMs);
  expect(
    Math.abs(told - nearest),
    `${what}: told ${ms}, seen ${Math.round(fromMs)} to ${Math.round(toMs)}`,
  ).toBeLessThanOrEqual(TOLERANCE_MS);
}

async function failOverOf(node: NodeContainer, { startMs, to }: SeenFailOver): Promise<FailOver> {
  const { value } = await eventually(
    `${node.name} tells a complete fail-over`,
    { withinMs: 10_000 },
    async () => {
      const events = (await node.ask("/api/events")) as readonly FailOver[];
      const found = events.findLast(
        (event) => event.kind === "failover" && event.startMs > startMs - TOLERANCE_MS,
      );
      if (found?.isOver !== true || found.observer.id !== to)
        throw new Error(JSON.stringify(found ?? events));
      return found;
    },
  );
  const { kind, cause, isOver, observer, nodes, from, clientsBefore, clientsBack } = value;
  const { addressAfterMs, firstClientAfterMs, clients95AfterMs } = value;
  const counts = { clientsBefore, clientsBack };
  const times = { startMs: value.startMs, addressAfterMs, firstClientAfterMs, clients95AfterMs };
  return { kind, cause, isOver, observer, nodes, from, to: value.to, ...counts, ...times };
}
