import { expect, test } from "vitest";
import { ExactlyOnce } from "../../src/checkers/exactly-once.ts";
import { Wills } from "../../src/checkers/wills.ts";
import type { Observation } from "../../src/observations.ts";
import {
  acked,
  check,
  connected,
  connecting,
  disconnected,
  end,
  published,
  quorate,
  seen,
  started,
} from "../support/history.ts";

const will = (connection: number, delaySeconds = 0) =>
  ({ topic: "will", payloadId: `will-${connection}`, qos: 1, retain: false, delaySeconds }) as const;
const crash = (at: number, node: string) => seen(at, "stopped", { node, how: "crash" });
const disturbed = (at: number, ...nodes: string[]) => seen(at, "disturbed", { nodes });
const comes = (at: number, payloadId: string, client = "heir") =>
  seen(at, "delivered", { client, topic: "will", payloadId, qos: 1, dup: false, retain: false });
const again = (at: number, node: string, connection: number): Observation[] => [
  connecting(at, "dev", node, { connection, will: will(connection) }),
  connected(at + 10, "dev", node, "dev-1", { connection, isPresent: true }),
];
const says = (at: number, node: string, payloadId: string) =>
  published(at, "dev", node, { payloadId, topic: "will" });

/** Three nodes; an heir on A who keeps its session and waits for wills; a device on B that has been connected for a while. */
const BEGIN: readonly Observation[] = [
  ...started(0, "A", "B", "C"),
  ...quorate(50, "A", "B", "C"),
  connecting(90, "heir", "A"),
  connected(100, "heir", "A"),
  seen(150, "subscribeSent", { client: "heir", node: "A", filter: "will", qos: 1 }),
  seen(200, "subscribeAcked", { client: "heir", node: "A", filter: "will", qos: 1 }),
  connecting(1000, "dev", "B", { will: will(1) }),
  connected(1010, "dev", "B"),
  // The ledgers look once a second.
  end(7000),
];
const CUT = disconnected(10_000, "dev");
const belongs = (at: number, node: string, to: string) => seen(at, "belongs", { node, to });
const paused = (at: number, node: string) => seen(at, "stopped", { node, how: "pause" });
const resumed = (at: number, node: string) => seen(at, "stopped", { node, how: "resume" });
/** A CONNECT to B that its client gives up, for one to C a while later; then the will of the one given up comes behind what it says there. */
const givenUp = (afterMs: number): Observation[] => [
  ...LEFT,
  connecting(11_000, "dev", "B", { connection: 2, will: will(2) }),
  ...again(11_000 + afterMs, "C", 3),
  says(14_000, "C", "m"),
  comes(14_010, "m"),
  comes(14_020, "will-2"),
];
/** Its client says something on a connection with C and leaves; then the will of the connection before comes. */
const ELSEWHERE = [
  ...again(11_000, "C", 2),
  says(11_100, "C", "m"),
  comes(11_200, "m"),
  disconnected(11_300, "dev", { connection: 2, how: "left" }),
];
const LEFT = [
  disconnected(10_000, "dev", { how: "left" }),
  seen(10_010, "connectionOver", { client: "dev", connection: 1, code: undefined }),
];

/** Its client is back on B, which is paused a moment later. */
const STOOD_STILL = [...LEFT, ...again(11_000, "B", 2), paused(11_050, "B"), end(18_000)];

test.each<[string, readonly Observation[]]>([
  ["it comes when the connection is cut", [CUT, comes(10_020, "will-1"), end(200_000)]],
  [
    "it comes behind what its client has said since, its node having had no quorum",
    [
      seen(9000, "quorum", { node: "B", isReached: false }),
      CUT,
      ...quorate(10_900, "B"),
      ...ELSEWHERE,
      comes(11_400, "will-1"),
    ],
  ],
  ["it comes a moment before its client has heard of the cut", [comes(9990, "will-1"), CUT, end(200_000)]],
  [
    "it comes after the grace, its node having died",
    [crash(10_000, "B"), comes(26_000, "will-1"), CUT, end(200_000)],
  ],
  ["it never comes, because its client came back", [CUT, ...again(11_000, "C", 2), end(200_000)]],
  [
    "it came before its client was back",
    [CUT, comes(10_500, "will-1"), ...again(11_000, "C", 2), says(12_000, "C", "m")],
  ],
  ["it never comes after DISCONNECT", [...LEFT, end(200_000)]],
  [
    "its node died before it could tell of the DISCONNECT",
    [...LEFT, crash(10_500, "B"), comes(30_000, "will-1")],
  ],
  [
    "it is late, for as long as there is no quorum",
    [CUT, ...["A", "C"].map((node) => crash(10_001, node)), end(100_000)],
  ],
  [
    "it comes late where something was disturbed",
    [CUT, disturbed(10_001, "A"), ...again(11_000, "C", 2), end(30_000), comes(31_000, "will-1")],
  ],
  [
    "it had come to another client before its client was back, and waited in a queue of a node that was behind",
    [CUT, comes(10_020, "will-1", "other"), ...again(11_000, "C", 2), end(30_000), comes(31_000, "will-1")],
  ],
  [
    "it comes after the merge of two clusters, though its client was in the other one meanwhile",
    [
      belongs(9000, "A", "one"),
      belongs(9000, "C", "one"),
      belongs(9000, "B", "two"),
      CUT,
      ...ELSEWHERE,
      belongs(12_000, "B", "one"),
      comes(30_000, "will-1"),
    ],
  ],
  [
    "its DISCONNECT came behind a message that a 3.x client was cut off for",
    [says(9999, "B", "m"), ...LEFT, comes(10_020, "will-1")],
  ],
  [
    "its CONNECT had waited at a node that was paused",
    [
      ...LEFT,
      paused(10_100, "B"),
      connecting(10_200, "dev", "B", { connection: 3, will: will(3) }),
      disconnected(10_900, "dev", { connection: 3 }),
      ...[connecting(11_000, "dev", "C", { connection: 4 }), connected(11_010, "dev", "C")],
      says(11_100, "C", "m"),
      comes(11_200, "m"),
      resumed(20_000, "B"),
      comes(20_100, "will-3"),
    ],
  ],
  ["its CONNECT may have been lost once, and came behind the next one", givenUp(50)],
  [
    "its node stood still as soon as it had accepted the CONNECT, and died without having told anybody",
    [
      ...STOOD_STILL,
      resumed(20_000, "B"),
      crash(21_000, "B"),
      disconnected(21_500, "dev", { connection: 2 }),
      end(200_000),
    ],
  ],
])("[P9] wills accepts: %s", (_name, history) => {
  check(new Wills("replicated"), [...BEGIN, ...history]);
});

test.each<[string, RegExp, readonly Observation[]]>([
  ["it never comes", /never came to heir-1/, [CUT, end(200_000)]],
  [
    "its node died and nobody noticed",
    /never came to heir-1/,
    [crash(10_000, "B"), disconnected(10_500, "dev"), end(200_000)],
  ],
  [
    "it comes while its client is connected",
    /while its connection lives/,
    [comes(10_000, "will-1"), end(20_000)],
  ],
  ["it comes after DISCONNECT", /after its DISCONNECT/, [...LEFT, comes(10_020, "will-1")]],
  [
    "it comes after DISCONNECT, its node having died seconds later",
    /after its DISCONNECT/,
    [...LEFT, end(16_000), crash(17_000, "B"), comes(40_000, "will-1")],
  ],
  [
    "it comes after DISCONNECT, what its client has said being acknowledged",
    /after its DISCONNECT/,
    [says(9000, "B", "m"), acked(9010, "dev", "m"), ...LEFT, comes(10_020, "will-1")],
  ],
  [
    "it comes at once, its node having died",
    /after its node died/,
    [crash(10_000, "B"), disconnected(10_001, "dev"), comes(12_000, "will-1")],
  ],
  [
    "it comes long after its client is back",
    /connection 2 was acknowledged/,
    [CUT, ...again(11_000, "C", 2), end(18_000), comes(40_000, "will-1")],
  ],
  [
    "it comes behind what its client has said since",
    /behind a message/,
    [CUT, ...again(11_000, "C", 2), says(11_100, "C", "m"), comes(11_200, "m"), comes(11_210, "will-1")],
  ],
  [
    "it comes behind that, its client having left again",
    /behind a message/,
    [CUT, ...ELSEWHERE, comes(11_400, "will-1")],
  ],
  ["it comes behind that, its CONNECT having been there long before", /behind a message/, givenUp(2000)],
  [
    "it never comes, its node having stood still and told the others afterwards",
    /never came to heir-1/,
    [
      ...STOOD_STILL,
      resumed(18_500, "B"),
      end(24_000),
      disconnected(25_000, "dev", { connection: 2 }),
      end(200_000),
    ],
  ],
])("[P9] wills bites: %s", (_name, message, history) => {
  expect(() => check(new Wills("replicated"), [...BEGIN, ...history])).toThrow(message);
});

test("[P9] exactly once bites: a will that comes twice", () => {
  const twice = [...BEGIN, CUT, comes(10_020, "will-1"), comes(26_000, "will-1")];
  expect(() => check(new ExactlyOnce("replicated"), twice)).toThrow(/2. time/);
});
