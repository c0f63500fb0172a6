import { beforeEach, describe, expect, test } from "vitest";
import type { Judgement } from "./judgement.ts";
import { MessageLedger } from "./message-ledger.ts";

const ONE = 0;
const TWO = 1;
/** Subscribers: both hear both publishers. */
const FIRST = 0;
const SECOND = 1;

let ledger: MessageLedger;
let now: number;

beforeEach(() => {
  now = 0;
  ledger = new MessageLedger(
    [
      { name: "pub-1", qos: 1 },
      { name: "pub-2", qos: 2 },
    ],
    [
      { name: "sub-1", qos: 1, hears: [ONE, TWO] },
      { name: "sub-2", qos: 2, hears: [ONE, TWO] },
    ],
  );
  ledger.connected(FIRST);
  ledger.connected(SECOND);
});

function publish(publisher: number, message: number): void {
  ledger.sent(publisher, message, now++);
  ledger.acknowledged(publisher, message, now++);
}

function deliver(subscriber: number, publisher: number, message: number, isDup = false): void {
  ledger.delivered(subscriber, publisher, message, "t", isDup, now++);
}

function broken(): readonly Judgement[] {
  return ledger.judge().filter((judgement) => judgement.broken > 0);
}

describe("a history that is right", () => {
  test("everything once and in order passes, and every promise was put to the test", () => {
    for (const publisher of [ONE, TWO]) {
      for (let message = 0; message < 3; message += 1) {
        publish(publisher, message);
        for (const subscriber of [FIRST, SECOND]) deliver(subscriber, publisher, message);
      }
    }
    expect(broken()).toEqual([]);
    expect(ledger.judge().every(({ judged }) => judged > 0)).toBe(true);
    expect(ledger.counts).toEqual({
      sent: 6,
      acknowledged: 6,
      refused: 0,
      refusals: {},
      unanswered: 0,
      delivered: 12,
      copies: 0,
      owed: 0,
    });
    expect(ledger.acknowledgementTimes()).toEqual([1, 1, 1, 1, 1, 1]);
  });

  test("what was refused or never answered is not owed", () => {
    ledger.sent(ONE, 0, now++);
    ledger.refused(ONE, 0, 0x97, now++);
    ledger.sent(ONE, 1, now++);
    expect(broken()).toEqual([]);
    expect(ledger.counts).toMatchObject({ refused: 1, refusals: { "0x97": 1 }, unanswered: 1, owed: 0 });
  });

  test("a QoS 1 message may come again with DUP, on a new connection, or when its publisher sent it again", () => {
    publish(ONE, 0);
    deliver(FIRST, ONE, 0);
    deliver(FIRST, ONE, 0, true);
    ledger.connected(FIRST);
    deliver(FIRST, ONE, 0);
    deliver(SECOND, ONE, 0);
    ledger.sent(ONE, 0, now++);
    deliver(SECOND, ONE, 0);
    expect(broken()).toEqual([]);
    expect(ledger.counts.copies).toBe(3);
  });

  test("copies may come out of order: only first deliveries count", () => {
    for (const message of [0, 1]) publish(ONE, message);
    for (const message of [0, 1]) for (const subscriber of [FIRST, SECOND]) deliver(subscriber, ONE, message);
    ledger.connected(FIRST);
    deliver(FIRST, ONE, 0, true);
    expect(broken()).toEqual([]);
  });
});

describe("each kind of breach is found", () => {
  test("an acknowledged message that never came to one of its subscribers", () => {
    publish(TWO, 0);
    deliver(FIRST, TWO, 0);
    expect(ledger.owed).toBe(1);
    expect(broken()).toEqual([
      {
        promise: "what was acknowledged arrives",
        judged: 2,
        broken: 1,
        examples: [
          {
            client: "sub-2",
            topic: "pub-2",
            id: "pub-2 0",
            what: "sent at 0.000 s, acknowledged at 0.001 s, never came",
          },
        ],
      },
    ]);
  });

  test("a QoS 2 message that comes again, even with DUP and on a new connection", () => {
    publish(TWO, 0);
    deliver(FIRST, TWO, 0);
    deliver(SECOND, TWO, 0);
    ledger.connected(SECOND);
    deliver(SECOND, TWO, 0, true);
    expect(broken()).toMatchObject([{ promise: "QoS 2 messages come once", broken: 1 }]);
  });

  test("a QoS 1 message that comes again on the same connection without DUP", () => {
    publish(ONE, 0);
    for (const subscriber of [FIRST, SECOND, SECOND]) deliver(subscriber, ONE, 0);
    expect(broken()).toMatchObject([{ promise: expect.stringContaining("QoS 1"), broken: 1 }]);
  });

  test("a QoS 2 publisher that sends again is no excuse: the broker knows the message by its identifier", () => {
    publish(TWO, 0);
    ledger.sent(TWO, 0, now++);
    deliver(SECOND, TWO, 0);
    for (let time = 0; time < 2; time += 1) deliver(FIRST, TWO, 0);
    expect(broken()).toMatchObject([{ promise: expect.stringContaining("QoS 1"), broken: 1 }]);
  });

  test("first deliveries that overtake each other", () => {
    for (const message of [0, 1]) publish(ONE, message);
    for (const message of [0, 1]) deliver(FIRST, ONE, message);
    for (const message of [1, 0]) deliver(SECOND, ONE, message);
    expect(broken()).toMatchObject([
      {
        promise: expect.stringContaining("order"),
        broken: 1,
        examples: [{ client: "sub-2", id: "pub-1 0" }],
      },
    ]);
  });

  test("a message that nobody sent, and one of a publisher that the subscriber does not hear", () => {
    deliver(FIRST, ONE, 7);
    deliver(FIRST, 9, 0);
    expect(broken()).toMatchObject([
      { promise: expect.stringContaining("only what was published"), broken: 2 },
    ]);
  });
});

test("only the first few breaches are given as examples, all are counted", () => {
  for (let message = 0; message < 20; message += 1) publish(ONE, message);
  const [lost] = broken();
  expect(lost).toMatchObject({ broken: 40 });
  expect(lost?.examples).toHaveLength(5);
});
