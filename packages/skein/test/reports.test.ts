import type { MonotonicMs, NodeId } from "@skein/kernel";
import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeReport, encodeReport, type NodeReport, REPORT_FRAME } from "../src/reports/node-report.ts";
import { ReportExchange } from "../src/reports/report-exchange.ts";

const A = "aaaaaaaaaaaaaaaa" as NodeId;
const B = "bbbbbbbbbbbbbbbb" as NodeId;

/** Two nodes, wall clocks apart, with a link between them that takes `rttMs` there and back, and `links` in all each. */
function pair(offsetMs: number, rttMs = 10, links = 1) {
  const scene = { now: 0, messages: 0, isLinked: true };
  const sent: { readonly from: NodeId; readonly bytes: Uint8Array }[] = [];
  const make = (self: NodeId, other: NodeId, wallOffset: number): ReportExchange =>
    new ReportExchange({
      clock: { monotonicMs: () => scene.now as MonotonicMs, wallMs: () => 1e12 + scene.now + wallOffset },
      send: (_, bytes) => sent.push({ from: self, bytes }),
      linked: () => {
        const others = Array.from({ length: links - 1 }, (_, at) => `cccccccccccccc${10 + at}` as NodeId);
        return new Map(scene.isLinked ? [other, ...others].map((node) => [node, rttMs]) : []);
      },
      own: () => ({
        version: "0.1.0",
        memoryBytes: 61e6,
        addressProblem: "",
        lags: { [B]: 3 },
        returned: {},
        isDiverged: true,
        isAnnounced: true,
        takeovers: [],
      }),
      messages: () => scene.messages,
    });
  return { scene, sent, a: make(A, B, 0), b: make(B, A, offsetMs) };
}

test("a report reaches the peer with the distance of the clocks, half the way there taken into account", () => {
  const { scene, sent, a, b } = pair(3000);
  b.tick();
  scene.now += 5;
  for (const { from, bytes } of sent) a.receive(from, bytes);
  expect(a.of(B)).toMatchObject({
    version: "0.1.0",
    memoryBytes: 61e6,
    lags: { [B]: 3 },
    clockOffsetMs: 3000,
  });
});

test("it is sent every ten seconds, and at once over a new link; it is forgotten with the link", () => {
  const { scene, sent, a, b } = pair(0);
  for (; scene.now <= 60_000; scene.now += 250) b.tick();
  expect(sent).toHaveLength(7);
  a.receive(B, sent[0]?.bytes as Uint8Array);
  scene.isLinked = false;
  a.tick();
  b.tick();
  expect(a.of(B)).toBeUndefined();
  a.receive(B, sent[0]?.bytes as Uint8Array);
  expect(a.of(B)).toBeUndefined();
  scene.isLinked = true;
  sent.length = 0;
  scene.now += 250;
  b.tick();
  expect(sent).toHaveLength(1);
});

test("with eight links and more it is sent every twenty seconds", () => {
  const countOf = (links: number): number => {
    const { scene, sent, a } = pair(0, 10, links);
    for (; scene.now <= 60_000; scene.now += 250) a.tick();
    return sent.length / links;
  };
  expect([countOf(7), countOf(8)]).toEqual([7, 4]);
});

test("messages are counted per second", () => {
  const { scene, b } = pair(0);
  b.tick();
  scene.now += 10_000;
  scene.messages = 420;
  b.tick();
  expect(b.own.messagesPerSecond).toBe(42);
});

test("reports come out of a frame as they went in; anything else is no report and never throws", () => {
  const report: NodeReport = {
    version: "0.1.0",
    wallMs: 5,
    memoryBytes: 1,
    messagesPerSecond: 2,
    addressProblem: "No permission.",
    lags: { [A]: 7 },
    returned: { [A]: B },
    isDiverged: true,
    isAnnounced: true,
    takeovers: [{ clientId: "lamp", from: "192.168.1.30", by: B, agesMs: [0, 20_000] }],
  };
  expect(decodeReport(encodeReport(report))).toEqual(report);
  const frame = (text: string): Uint8Array => Buffer.from(String.fromCharCode(REPORT_FRAME) + text);
  for (const text of ["", "[]", "null", "7", "{", `{"a":"${"x".repeat(5000)}"}`])
    expect(decodeReport(frame(text))).toBeUndefined();
  expect(
    decodeReport(
      frame(
        '{"lags":{"__proto__":1,"toString":2},"returned":{"constructor":"x"},"memoryBytes":-1,"version":7,"takeovers":[null,7,{"clientId":"lamp"},{"clientId":"plug","agesMs":["x",-1]}]}',
      ),
    ),
  ).toEqual({
    version: "",
    wallMs: 0,
    memoryBytes: 0,
    messagesPerSecond: 0,
    addressProblem: "",
    lags: {},
    returned: {},
    isDiverged: false,
    isAnnounced: false,
    takeovers: [{ clientId: "plug", from: "", by: "", agesMs: [0, 0] }],
  });
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => void decodeReport(Uint8Array.of(REPORT_FRAME, ...bytes))),
  );
});
