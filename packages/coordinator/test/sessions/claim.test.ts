/** P9: a connection whose OPEN counts as older than one that came before, because its node's clock is behind. */

import type { KeptSession } from "@skein/kernel";
import { expect, test } from "vitest";
import { Claim, type ClaimPorts } from "../../src/sessions/claim.ts";
import { openingOf } from "../support/kept-client.ts";

const nothing = (): void => undefined;

/** A claim; `holds` says whether the log has given it the session. */
function claimOf() {
  const seen = { opens: 0, now: 0, holds: false, opened: 0, lost: 0 };
  const ports: ClaimPorts = {
    now: () => seen.now,
    propose: ({ kind }) => (kind === "open" ? ++seen.opens : seen.opens),
    remembersRepeated: () => true,
    afterBarrier: (then) => then(),
    atTurnEnd: (task) => task(),
    acknowledged: nothing,
    acknowledgedEarly: nothing,
    holds: () => seen.holds,
    view: {} as KeptSession,
    ownerOf: () => undefined,
    opening: nothing,
    isPresent: () => false,
    ended: nothing,
  };
  const holder = { opened: () => seen.opened++, grown: nothing, lost: () => seen.lost++, placed: nothing };
  return { claim: new Claim(openingOf("s"), holder, ports), seen };
}

test("P9: an OPEN that went into the log at once and counts as older is made again, and holds the session then", () => {
  const { claim, seen } = claimOf();
  seen.now = 20;
  claim.carriedOut();
  claim.changed();
  expect(seen).toMatchObject({ opens: 2, opened: 0, lost: 0 });
  expect(claim.named.claim).toBe(2);
  seen.holds = true;
  claim.carriedOut();
  expect(seen).toMatchObject({ opens: 2, opened: 1, lost: 0 });
});

test("P9: it is made again once, and not if something had held it back: its client may have been elsewhere since", () => {
  const [twice, late] = [claimOf(), claimOf()];
  for (let times = 0; times < 2; times++) twice.claim.carriedOut();
  expect(twice.seen).toMatchObject({ opens: 2, opened: 0, lost: 1 });
  late.seen.now = 501;
  late.claim.carriedOut();
  expect(late.seen).toMatchObject({ opens: 1, opened: 0, lost: 1 });
});

test("P9: nor for a connection that is over", () => {
  const { claim, seen } = claimOf();
  claim.close("discard", 0, -1);
  claim.carriedOut();
  expect(seen).toMatchObject({ opens: 1, opened: 0, lost: 0 });
});
