import type { NodeId } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeReport, encodeReport } from "../src/reports/node-report.ts";
import { FlappingClients, type ToldTakeovers } from "../src/status/flapping-clients.ts";
import type { Note } from "../src/status/note.ts";

const A = "aaaaaaaaaaaaaaaa" as NodeId;
const B = "bbbbbbbbbbbbbbbb" as NodeId;
const C = "cccccccccccccccc" as NodeId;
const MINUTE_MS = 60_000;

const alarmOf = (who: string, clientId = "lamp"): string =>
  `Client id "${clientId}" is taken over more than 5 times a minute: ${who}.`;
const BOTH = alarmOf("192.168.1.30 and 192.168.1.31 throw each other out; give one of them another id");

function notesOf(clients: FlappingClients, now: number, told: readonly ToldTakeovers[] = []): Note[] {
  const names: Readonly<Record<NodeId, string>> = { [A]: "pi1", [B]: "pi2" };
  return [...clients.notes({ told, nameOf: (node) => names[node], now })];
}

function textsOf(...inputs: Parameters<typeof notesOf>): string[] {
  return notesOf(...inputs).map(({ text }) => text);
}

/** What `node` says of its own in its report at `now`. */
function reportOf(node: NodeId, clients: FlappingClients, now: number): ToldTakeovers {
  return { node, receivedAt: now, takeovers: clients.told(now) };
}

test("R17: the sixth takeover in a minute raises an alarm that names both addresses, and it ends a minute after the last", () => {
  const clients = new FlappingClients(A);
  for (let at = 0; at < 12; at++) {
    const [from, by] = at % 2 === 0 ? [31, 30] : [30, 31];
    clients.takenOver("lamp", `192.168.1.${from}:5000`, `192.168.1.${by}:6000`, at * 1000);
    expect(notesOf(clients, at * 1000)).toHaveLength(at < 5 ? 0 : 1);
  }
  expect(notesOf(clients, 20_000)).toEqual([{ subject: 'flapping "lamp"', text: BOTH, isAlarm: true }]);
  expect(textsOf(clients, 11_000 + MINUTE_MS - 1)).toEqual([BOTH]);
  expect(textsOf(clients, 11_000 + MINUTE_MS)).toEqual([]);
});

/** Two devices on two nodes, which take the session from each other every `everyMs`, the last time at 0. */
function onTwoNodes(
  everyMs: number,
  count = 12,
): { readonly a: FlappingClients; readonly b: FlappingClients } {
  const [a, b] = [new FlappingClients(A), new FlappingClients(B)];
  for (let ago = count - 1; ago >= 0; ago--) {
    if (ago % 2 === 0) a.takenOver("lamp", "192.168.1.30:5000", B, -ago * everyMs);
    else b.takenOver("lamp", "192.168.1.31:5000", A, -ago * everyMs);
  }
  return { a, b };
}

test("R17: devices on two nodes are one alarm from six takeovers in all, with both addresses, on those nodes and on any other", () => {
  // Each node has lost three within the minute.
  const { a, b } = onTwoNodes(11_900);
  expect([textsOf(a, 0), textsOf(b, 0)]).toEqual([[], []]);
  const [onA, onB, onC] = [
    textsOf(a, 9000, [reportOf(B, b, 0)]),
    textsOf(b, 9000, [reportOf(A, a, 0)]),
    textsOf(new FlappingClients(C), 9000, [reportOf(A, a, 0), reportOf(B, b, 0)]),
  ];
  expect([onA, onB, onC]).toEqual([[BOTH], [BOTH], [BOTH]]);
});

test("reports that come late do not hide six takeovers within a minute, nor make five of them an alarm", () => {
  const { a, b } = onTwoNodes(11_900, 6);
  // The next one of this node, when the oldest ones are older than a minute.
  expect(textsOf(a, 15_000, [reportOf(B, b, 15_000)])).toEqual([BOTH]);
  const seldom = onTwoNodes(12_100);
  for (let now = 0; now < 2 * MINUTE_MS; now += 1000)
    expect(textsOf(seldom.a, now, [reportOf(B, seldom.b, now)])).toEqual([]);
});

test("where the other node says nothing, as of a version before, the alarm names it in place of the device there", () => {
  const clients = new FlappingClients(A);
  for (let at = 0; at < 6; at++) clients.takenOver("lamp", "192.168.1.30:5000", B, at);
  const who = "192.168.1.30 and a client of pi2 throw each other out; give one of them another id";
  expect(textsOf(clients, 10)).toEqual([alarmOf(who)]);
});

test("a client that comes back now and then is no alarm, and a device that is alone is called so", () => {
  const clients = new FlappingClients(A);
  for (let at = 0; at < 100; at++) {
    clients.takenOver("lamp", "a:1", "a:2", at * 15_000);
    expect(textsOf(clients, at * 15_000)).toEqual([]);
  }
  for (let at = 0; at < 6; at++) clients.takenOver("plug", "a:1", "a:2", 2e6 + at);
  expect(textsOf(clients, 2e6 + 10)).toEqual([alarmOf("a connects with it again and again", "plug")]);
});

function inMinuteBefore(now: number, times: readonly number[]): number {
  return times.filter((at) => now - at < MINUTE_MS).length;
}

test("an alarm is there exactly when more than five takeovers of an id lie within a minute, on whatever nodes they are", () => {
  const takeovers = fc.array(fc.tuple(fc.nat(30_000), fc.boolean()), { maxLength: 40 });
  fc.assert(
    fc.property(takeovers, (steps) => {
      const [a, b] = [new FlappingClients(A), new FlappingClients(B)];
      const [times, timesOnA]: [number[], number[]] = [[], []];
      let now = 0;
      for (const [gap, isOnA] of steps) {
        now += gap;
        times.push(now);
        if (isOnA) timesOnA.push(now);
        if (isOnA) a.takenOver("lamp", "a:1", B, now);
        else b.takenOver("lamp", "b:1", A, now);
        // Of a single one nobody is told.
        const isTold = b.told(now).length > 0;
        const alarms = textsOf(a, now, [reportOf(B, b, now)]).length;
        const recent = inMinuteBefore(now, times);
        expect(alarms).toBeGreaterThanOrEqual(recent - (isTold ? 0 : 1) > 5 ? 1 : 0);
        // Who does not know of the last one has the alarm of those before for a minute longer.
        const known = isTold ? recent : Math.max(recent, inMinuteBefore(timesOnA.at(-1) ?? 0, timesOnA));
        expect(alarms).toBeLessThanOrEqual(known > 5 ? 1 : 0);
      }
    }),
  );
});

test("strangers' ids take bounded room, here and in the report; those taken over most often are told first", () => {
  const clients = new FlappingClients(A);
  for (let i = 0; i < 5000; i++) for (let n = 0; n < 2; n++) clients.takenOver(`id${i}`, "a:1", "b:2", i);
  clients.takenOver("once", "a:1", "b:2", 5000);
  clients.takenOver("\u0001".repeat(60_000), "a:1", "b:2", 5000);
  clients.takenOver("\u0001".repeat(60_000), "a:1", "b:2", 5000);
  for (let n = 0; n < 6; n++) clients.takenOver("lamp", "a:1", "b:2", 4000);
  const takeovers = clients.told(5000);
  expect(takeovers[0]?.clientId).toBe("lamp");
  expect(takeovers.length).toBeGreaterThan(5);
  expect(takeovers.map(({ clientId }) => clientId)).not.toContain("once");
  const lags = Object.fromEntries(
    Array.from({ length: 32 }, (_, at) => [`${at}`.padStart(16, "a"), 1_000_000]),
  );
  const report = {
    version: "0.1.0",
    wallMs: 1e12,
    memoryBytes: 1e8,
    messagesPerSecond: 1e5,
    addressProblem: "x".repeat(300),
    lags,
    returned: {},
    isDiverged: true,
    isAnnounced: true,
    takeovers,
  };
  expect(decodeReport(encodeReport(report))).toEqual(report);
  for (let i = 0; i < 5000; i++) for (let n = 0; n < 6; n++) clients.takenOver(`id${i}`, "a:1", "b:2", 5000);
  expect(notesOf(clients, 5000)).toHaveLength(20);
});
