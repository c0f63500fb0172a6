/** Servers of which entries are known to be missing: they wait with voting until these are back, or cannot be had. */

import { expect, test } from "vitest";
import {
  appendEntries,
  heartbeat,
  logOf,
  OneServer,
  preVote,
  requestVote,
  voters,
} from "./support/one-server.ts";

function incomplete(more: ConstructorParameters<typeof OneServer>[0] = {}): OneServer {
  return new OneServer({ term: 3, entries: logOf([1, 1]), isSuspect: true, isIncomplete: true, ...more });
}

test("an incomplete server neither votes nor campaigns, also if it is the only voter", () => {
  const a = incomplete().sleepUntil(60_000);
  a.receive("b", preVote(4, 9, 3));
  a.receive("b", requestVote(4, 9, 3));
  expect(
    a
      .completeWrites()
      .takeSent()
      .map(({ message }) => message),
  ).toMatchObject([
    { kind: "preVoteReply", granted: false },
    { kind: "requestVoteReply", granted: false },
  ]);
  expect(a.status).toMatchObject({ role: "follower", isIncomplete: true });
  const alone = incomplete({ configuration: voters("a") }).sleepUntil(60_000);
  expect(alone.status.role).toBe("follower");
});

test("what was found again goes into the log and to the disk, and then it votes and campaigns like any suspect", () => {
  const a = incomplete();
  a.step({ kind: "recovered", entries: logOf([1, 2], 3), isComplete: false });
  a.step({ kind: "recovered", entries: logOf([5], 5), isComplete: true });
  expect(a.writes).toMatchObject([
    { entries: [{ index: 3 }, { index: 4 }] },
    { entries: [{ index: 5 }], hardState: { term: 5, votedFor: undefined } },
  ]);
  a.completeWrites();
  expect(a.status).toMatchObject({
    isIncomplete: false,
    isSuspect: true,
    lastIndex: 5,
    term: 5,
    commitIndex: 0,
  });
  a.sleepUntil(3000);
  expect(a.status.role).toBe("preCandidate");
  expect(a.take("preVote")[0]).toMatchObject({ lastLogIndex: 5, lastLogTerm: 5 });
  a.receive("b", preVote(9, 9, 8));
  expect(a.take("preVoteReply")).toMatchObject([{ granted: true, isSuspect: true }]);
});

test("a leader ends it: its log is what the cluster has, and what is found later is not taken", () => {
  const a = incomplete();
  a.receive("b", heartbeat(3));
  expect(a.status.isIncomplete, "it may lead without having reached this log").toBe(true);
  a.receive("b", appendEntries(3, 5, 2, logOf([3], 6)));
  expect(a.status.isIncomplete, "its log has not been joined").toBe(true);
  a.receive("b", appendEntries(3, 2, 1, logOf([3], 3)));
  a.completeWrites();
  expect(a.status).toMatchObject({ isIncomplete: false, lastIndex: 3 });
  a.step({ kind: "recovered", entries: logOf([4], 4), isComplete: true });
  expect(a.status).toMatchObject({ lastIndex: 3, term: 3 });
});

test("entries that do not follow the log's end are a bug of the driver", () => {
  expect(() => incomplete().step({ kind: "recovered", entries: logOf([1], 4), isComplete: false })).toThrow(
    "out of order: 4",
  );
  const a = new OneServer({ term: 3, entries: logOf([1, 2]), isIncomplete: true });
  expect(() => a.step({ kind: "recovered", entries: logOf([1], 3), isComplete: false })).toThrow(
    "terms only rise: 2 1",
  );
});
