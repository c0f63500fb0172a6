import { expect, test } from "vitest";
import { ConnectionLedger } from "./connection-ledger.ts";

function broken(ledger: ConnectionLedger) {
  return ledger.judge().filter((judgement) => judgement.broken > 0);
}

test("a first connection, and a return to a session that is there, pass", () => {
  const ledger = new ConnectionLedger();
  ledger.answered("c", 0, false, false, undefined, 1000);
  ledger.answered("c", 0, true, true, 6, 2000);
  expect(broken(ledger)).toEqual([]);
  expect(ledger.answeredMs).toEqual([6]);
});

test("a session that is gone when its client comes back is found", () => {
  const ledger = new ConnectionLedger();
  ledger.answered("c", 0, true, false, 4, 5000);
  expect(broken(ledger)).toMatchObject([
    { examples: [{ client: "c", what: "Session Present 0 at 5.000 s" }] },
  ]);
});

test("a client that is turned away is found", () => {
  const ledger = new ConnectionLedger();
  ledger.answered("c", 0x88, true, false, 4, 5000);
  expect(broken(ledger)).toMatchObject([{ broken: 1, examples: [{ what: "code 0x88 at 5.000 s" }] }]);
});
