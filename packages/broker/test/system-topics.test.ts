import type { MonotonicMs } from "@skein/kernel";
import { decodeUtf8 } from "@skein/kernel";
import { expect, test } from "vitest";
import { newCounters } from "../src/counters.ts";
import { LoadAverages } from "../src/system/load-averages.ts";
import { isSystemTopic, SystemTopics } from "../src/system/system-topics.ts";

const MINUTE_MS = 60_000;

/** Samples of `perMinute` events each minute, every 10 s for `minutes`. */
function steady(averages: LoadAverages, perMinute: number, minutes: number, from = 0): number {
  let total = from;
  for (let at = 0; at < minutes * 6; at++) {
    total += perMinute / 6;
    averages.sample(total, MINUTE_MS / 6);
  }
  return total;
}

test("the averages approach a steady rate, that of one minute first", () => {
  const averages = new LoadAverages();
  const total = steady(averages, 600, 1);
  const [one, five, fifteen] = averages.perMinute;
  expect(one).toBeCloseTo(600 * (1 - Math.exp(-1)), 6);
  expect(five).toBeCloseTo(600 * (1 - Math.exp(-1 / 5)), 6);
  expect(fifteen).toBeCloseTo(600 * (1 - Math.exp(-1 / 15)), 6);
  steady(averages, 600, 120, total);
  for (const average of averages.perMinute) expect(average).toBeCloseTo(600, 0);
});

test("the averages do not depend on how often they are taken, and fall when nothing comes", () => {
  const [often, seldom] = [new LoadAverages(), new LoadAverages()];
  const total = steady(often, 60, 3);
  for (let minute = 1; minute <= 3; minute++) seldom.sample(60 * minute, MINUTE_MS);
  for (const at of [0, 1, 2]) expect(often.perMinute[at]).toBeCloseTo(seldom.perMinute[at] ?? 0, 6);
  const before = often.perMinute[0];
  often.sample(total, MINUTE_MS);
  expect(often.perMinute[0]).toBeCloseTo(before * Math.exp(-1), 6);
});

function system(intervalSeconds = 10) {
  const counters = newCounters();
  const state = { clients: 1, memoryBytes: 0, health: "healthy", figuresTaken: 0 };
  const topics = new SystemTopics(intervalSeconds, 0 as MonotonicMs, {
    counters,
    node: {
      version: "1.2.3",
      builtAt: "2026-11-28 21:00:00+0000",
      memoryBytes: () => state.memoryBytes,
      visit: (visit) => visit("mesh/health", state.health),
    },
    figures: () => {
      state.figuresTaken++;
      return {
        uptimeMs: 61_900,
        connections: new Set([{ waitingBytes: 300 }, { waitingBytes: 0 }, { waitingBytes: 20 }]),
        clients: state.clients,
        clientsMax: 5,
        sessions: 4,
        subscriptions: 7,
        sharedSubscriptions: 2,
        retained: 10,
        queued: 6,
        storedBytes: 700,
      };
    },
  });
  const values = (filter: string): Record<string, string> => {
    const found: Record<string, string> = {};
    topics.match(filter, ({ topic, payload }) => {
      found[topic] = decodeUtf8(payload, 0, payload.length);
    });
    return found;
  };
  const changed = (): string[] => {
    const names: string[] = [];
    topics.changes(({ topic }) => names.push(topic));
    return names;
  };
  return { topics, counters, state, values, changed };
}

test("the values have mosquitto's names and forms", () => {
  const { counters, state, values } = system();
  Object.assign(counters, {
    packetsReceived: 101,
    packetsSent: 102,
    bytesReceived: 103,
    bytesSent: 104,
    publishesReceived: 105,
    publishesSent: 106,
    publishBytesReceived: 107,
    publishBytesSent: 108,
    slowReaderDropped: 1,
    queueFullDropped: 2,
    tooLargeDropped: 3,
    expiredDropped: 4,
    sessionsExpired: 9,
  });
  state.memoryBytes = 5000;
  const { "$SYS/mesh/health": health, ...all } = values("$SYS/#");
  expect(health).toBe("healthy");
  const loads = Object.keys(all).filter((name) => name.startsWith("$SYS/broker/load/"));
  expect(loads).toHaveLength(27);
  for (const name of loads) {
    expect(name).toMatch(
      /\/(messages|publish|bytes)\/(received|sent|dropped)\/(1|5|15)min$|\/(sockets|connections)\/(1|5|15)min$/,
    );
    expect(all[name]).toBe("0.00");
    delete all[name];
  }
  const below = Object.fromEntries(
    Object.entries(all).map(([name, value]) => [name.slice("$SYS/broker/".length), value]),
  );
  expect(below).toEqual({
    version: "skein version 1.2.3",
    timestamp: "2026-11-28 21:00:00+0000",
    uptime: "61 seconds",
    "clients/total": "4",
    "clients/connected": "1",
    "clients/disconnected": "3",
    "clients/maximum": "5",
    "clients/expired": "9",
    "clients/active": "1",
    "clients/inactive": "3",
    "connections/socket/count": "3",
    "subscriptions/count": "7",
    "shared_subscriptions/count": "2",
    "retained messages/count": "10",
    "messages/stored": "16",
    "store/messages/count": "16",
    "store/messages/bytes": "700",
    "messages/received": "101",
    "messages/sent": "102",
    "bytes/received": "103",
    "bytes/sent": "104",
    "publish/messages/received": "105",
    "publish/messages/sent": "106",
    "publish/messages/dropped": "10",
    "publish/bytes/received": "107",
    "publish/bytes/sent": "108",
    "packet/out/bytes": "320",
    "heap/current": "5000",
    "heap/maximum": "5000",
  });
});

test("rates are of what came since the sample before, and only every interval is one taken", () => {
  const { topics, counters, values, state } = system();
  counters.publishesReceived = 100;
  expect(topics.tick(9_999 as MonotonicMs)).toBe(false);
  expect(topics.tick(10_000 as MonotonicMs)).toBe(true);
  expect(topics.tick(10_250 as MonotonicMs)).toBe(false);
  // 600 per minute for ten seconds.
  expect(values("$SYS/broker/load/publish/received/+")).toEqual({
    "$SYS/broker/load/publish/received/1min": (600 * (1 - Math.exp(-1 / 6))).toFixed(2),
    "$SYS/broker/load/publish/received/5min": (600 * (1 - Math.exp(-1 / 30))).toFixed(2),
    "$SYS/broker/load/publish/received/15min": (600 * (1 - Math.exp(-1 / 90))).toFixed(2),
  });
  // Nobody has looked but this test.
  expect(state.figuresTaken).toBe(1);
});

test("heap/maximum remembers what was seen", () => {
  const { topics, state, values } = system();
  state.memoryBytes = 9000;
  topics.tick(10_000 as MonotonicMs);
  state.memoryBytes = 4000;
  expect(values("$SYS/broker/heap/+")).toEqual({
    "$SYS/broker/heap/current": "4000",
    "$SYS/broker/heap/maximum": "9000",
  });
});

test("only what has changed is told again", () => {
  const { state, changed, values } = system();
  const all = Object.keys(values("$SYS/#"));
  expect(changed()).toEqual(all);
  expect(changed()).toEqual([]);
  state.clients = 2;
  state.health = "degraded";
  expect(changed().sort()).toEqual([
    "$SYS/broker/clients/active",
    "$SYS/broker/clients/connected",
    "$SYS/broker/clients/disconnected",
    "$SYS/broker/clients/inactive",
    "$SYS/mesh/health",
  ]);
});

test("with an interval of 0 the tree is empty", () => {
  const { topics, values, changed } = system(0);
  expect(topics.tick(1_000_000 as MonotonicMs)).toBe(false);
  expect(values("$SYS/#")).toEqual({});
  expect(changed()).toEqual([]);
});

test.each([
  ["$SYS", true],
  ["$SYS/#", true],
  ["$SYS/broker/uptime", true],
  ["$SYSTEM/x", false],
  ["$share/g/$SYS/#", false],
  ["#", false],
  ["x/$SYS", false],
])("%s is of the tree: %s", (topic, isOfTree) => {
  expect(isSystemTopic(topic)).toBe(isOfTree);
});
