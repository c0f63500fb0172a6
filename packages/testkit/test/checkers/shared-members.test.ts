import { expect, test } from "vitest";
import { SharedMembers } from "../../src/checkers/shared-members.ts";
import type { Observation } from "../../src/observations.ts";
import {
  acked,
  check,
  connected,
  connecting,
  delivered,
  disconnected,
  end,
  published,
  quorate,
  seen,
  started,
} from "../support/history.ts";

const FILTER = "$share/g/t";

const joins = (client: string, node: string, filter = FILTER): Observation[] => [
  connecting(90, client, node),
  connected(100, client, node),
  seen(150, "subscribeSent", { client, node, filter, qos: 2 }),
  seen(200, "subscribeAcked", { client, node, filter, qos: 2 }),
];
const back = (at: number, client: string, node: string): Observation[] => [
  connecting(at - 10, client, node, { connection: 2 }),
  connected(at, client, node, `${client}-1`, { connection: 2, isPresent: true }),
];
const crash = (at: number, node: string): Observation => seen(at, "stopped", { node, how: "crash" });

/** Members on B and C, a publisher on A. */
const BEGIN: readonly Observation[] = [
  ...started(0, "A", "B", "C"),
  ...quorate(50, "A", "B", "C"),
  connecting(90, "pub", "A"),
  connected(100, "pub", "A"),
  ...joins("one", "B"),
  ...joins("two", "C"),
];
const say = (at: number, payloadId: string, qos: 1 | 2 = 1): Observation[] => [
  published(at, "pub", "A", { payloadId, qos }),
  { ...acked(at + 10, "pub", payloadId), node: "A" },
];
const judge = (...history: readonly Observation[]) => {
  return () => check(new SharedMembers("replicated"), [...BEGIN, ...history, end(90_000)]);
};

test("[P5] a message that comes to one member is not lost, and one that comes to none is", () => {
  judge(...say(20_000, "m1"), delivered(20_100, "two", "m1"))();
  expect(judge(...say(20_000, "m1"))).toThrow(
    /m1, acknowledged at 20010 ms, came to no member of \$share\/g\/t/,
  );
});

test("[P5] what a member was given whose node dies must come to another one, or to itself", () => {
  const dies = [...say(20_000, "m1"), crash(20_020, "B"), disconnected(20_020, "one")];
  judge(...dies, ...back(60_000, "one", "C"), delivered(40_000, "two", "m1"))();
  judge(...dies, ...back(60_000, "one", "C"), delivered(60_100, "one", "m1"))();
  expect(judge(...dies, ...back(60_000, "one", "C"))).toThrow(/came to no member/);
});

test.each<[string, readonly Observation[]]>([
  ["a member is not back yet", [...say(20_000, "m1"), disconnected(20_020, "one")]],
  ["it was refused", [published(20_000, "pub", "A", { payloadId: "m1" }), acked(20_010, "pub", "m1", 0x97)]],
  [
    "it was sent before there were members, too",
    [published(195, "pub", "A", { payloadId: "m1" }), ...say(20_000, "m1")],
  ],
  ["it was never acknowledged", [published(20_000, "pub", "A", { payloadId: "m1" })]],
  [
    "it was acknowledged without a quorum",
    [seen(19_000, "quorum", { node: "A", isReached: false }), ...say(20_000, "m1")],
  ],
  [
    "it has passed all members by, which had no room",
    [
      published(20_000, "pub", "A", { payloadId: "m1" }),
      seen(20_005, "applied", {
        node: "A",
        index: 1,
        term: 1,
        hash: 1,
        passed: [{ client: "one", payloadId: "m1", queued: 10 }],
      }),
      { ...acked(20_010, "pub", "m1"), node: "A" },
    ],
  ],
  [
    "the session of a member may be gone with it",
    [
      ...say(20_000, "m1"),
      connecting(30_000, "one", "B", { connection: 2, isClean: true }),
      connected(30_010, "one", "B", "one-2", { connection: 2 }),
    ],
  ],
  ["a live member may have had its turn", [...joinsLive("live", "A"), ...say(20_000, "m1")]],
])("[P5] nothing is asked if %s", (_, history) => judge(...history)());

function joinsLive(client: string, node: string): Observation[] {
  return [
    connecting(90, client, node, { expirySeconds: 0 }),
    connected(100, client, node),
    seen(150, "subscribeSent", { client, node, filter: FILTER, qos: 1 }),
  ];
}

test("[P6] what a member had with QoS 2 is never another's", () => {
  const had = [...say(20_000, "m1", 2), delivered(20_100, "one", "m1", { qos: 2 })];
  const gone = [crash(20_120, "B"), disconnected(20_120, "one")];
  judge(...had, ...gone)();
  expect(judge(...had, ...gone, delivered(40_000, "two", "m1", { qos: 2 }))).toThrow(
    /two gets m1 at 40000 ms, which one had \(QoS 2\) at 20100 ms/,
  );
});

test("[P6] what a member had with QoS 1 is another's only if the log may not know of its PUBACK", () => {
  const had = [...say(20_000, "m1"), delivered(20_100, "one", "m1")];
  const again = delivered(40_000, "two", "m1");
  judge(...had, disconnected(20_200, "one"), again)();
  judge(...had, crash(20_200, "A"), again)();
  expect(judge(...had, again)).toThrow(/two gets m1 at 40000 ms, which one had \(QoS 1\)/);
  expect(judge(...had, disconnected(25_000, "one"), again)).toThrow(/two gets m1/);
});

test("[P6] none gets a message twice on one connection, but with DUP", () => {
  const had = [...say(20_000, "m1"), delivered(20_100, "one", "m1")];
  judge(...had, delivered(20_200, "one", "m1", { dup: true }))();
  judge(...had, disconnected(20_150, "one"), ...back(20_300, "one", "C"), delivered(20_400, "one", "m1"))();
  expect(judge(...had, delivered(20_200, "one", "m1"))).toThrow(/one gets m1 twice on one connection/);
});

test("[P6] what was sent twice, or taken without a quorum, may come to two", () => {
  const both = [delivered(20_100, "one", "m1"), delivered(20_200, "two", "m1")];
  judge(published(19_000, "pub", "A", { payloadId: "m1" }), ...say(20_000, "m1"), ...both)();
  judge(seen(19_000, "quorum", { node: "C", isReached: false }), ...say(20_000, "m1"), ...both)();
});

test("[P6] a node without a quorum serves its members as it knows them", () => {
  const alone = (at: number, isReached: boolean) => seen(at, "quorum", { node: "B", isReached });
  const gets = (at: number, client: string, node: string, qos: 1 | 2): Observation => {
    return { ...delivered(at, client, "m1", { qos }), node };
  };
  const history = (lack: readonly Observation[]) =>
    judge(
      ...say(20_000, "m1", 2),
      ...lack,
      gets(40_000, "one", "B", 2),
      ...quorate(41_000, "B"),
      gets(42_000, "two", "C", 2),
    );
  history([alone(30_000, false)])();
  expect(history([])).toThrow(/two gets m1 at 42000 ms, which one had/);
});

test("[P7] what a member leaves behind comes to another one in order", () => {
  const said = [1, 2, 3, 4].flatMap((n) => say(20_000 + n, `m${n}`));
  const sees = (...order: readonly number[]) => {
    const deliveries = order.map((n, at) => delivered(40_000 + at, "two", `m${n}`));
    return judge(...said, disconnected(20_100, "one"), ...back(30_000, "one", "B"), ...deliveries);
  };
  sees(1, 2, 3, 4)();
  sees(2, 4, 1, 3)();
  expect(sees(2, 4, 3, 1)).toThrow(/two sees m1 after m3 at 40003 ms, step 2 back in a row since m4/);
});
