import fc from "fast-check";
import { expect, test } from "vitest";
import { FlappingClients } from "../src/status/flapping-clients.ts";

const ALARM =
  'Client id "lamp" is taken over more than 5 times a minute: 192.168.1.31 and 192.168.1.30 throw each other out; give one of them another id.';

test("R17: the sixth take-over in a minute raises one alarm that names both addresses, and it ends a minute after the last", () => {
  const clients = new FlappingClients();
  const raised: unknown[] = [];
  for (let at = 0; at < 12; at++) {
    const [from, by] = at % 2 === 0 ? [30, 31] : [31, 30];
    raised.push(clients.takenOver("lamp", `192.168.1.${from}:5000`, `192.168.1.${by}:6000`, at * 1000));
  }
  expect(raised.filter((alarm) => alarm !== undefined)).toEqual([ALARM]);
  expect(raised[5]).toBe(ALARM);
  expect(clients.alarms(20_000)).toEqual([ALARM]);
  expect(clients.alarms(11_000 + 60_000)).toEqual([]);
});

test("a client that comes back now and then is no alarm, and a device that is alone is called so", () => {
  const clients = new FlappingClients();
  for (let at = 0; at < 100; at++)
    expect(clients.takenOver("lamp", "a:1", "a:2", at * 15_000)).toBeUndefined();
  for (let at = 0; at < 6; at++) clients.takenOver("plug", "a:1", "a:2", 2e6 + at);
  expect(clients.alarms(2e6 + 10)).toEqual([
    'Client id "plug" is taken over more than 5 times a minute: a connects with it again and again.',
  ]);
});

test("an alarm is there exactly when more than five take-overs of an id lie within a minute; strangers' ids take bounded room", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(30_000), { maxLength: 40 }), (gaps) => {
      const clients = new FlappingClients();
      const times: number[] = [];
      let now = 0;
      for (const gap of gaps) {
        now += gap;
        times.push(now);
        clients.takenOver("lamp", "a:1", "b:2", now);
        const recent = times.filter((at) => now - at < 60_000).length;
        expect(clients.alarms(now)).toHaveLength(recent > 5 ? 1 : 0);
      }
    }),
  );
  const clients = new FlappingClients();
  for (let i = 0; i < 5000; i++) for (let n = 0; n < 6; n++) clients.takenOver(`id${i}`, "a:1", "b:2", i);
  expect(clients.alarms(5000).length).toBeLessThanOrEqual(1000);
});
