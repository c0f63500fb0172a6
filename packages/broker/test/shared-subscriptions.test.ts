/** Which member of a shared subscription a node picks. */

import type { QoS } from "@skein/kernel";
import { expect, test } from "vitest";
import { SharedSubscriptions } from "../src/subscriptions/shared-subscriptions.ts";

const FILTER = "$share/g/t";

test("QoS 1 and 2 go to no member that gets them from the log, QoS 0 to every member in turn", () => {
  const shared = new SharedSubscriptions();
  const got: string[] = [];
  const add = (name: string, isKept: boolean, qos: QoS) => {
    const deliver = () => void got.push(name);
    const subscriber = { deliver, isReady: true, isConnected: true, isKept };
    const form = { noLocal: false, retainAsPublished: false, identifier: undefined };
    shared.add({ subscriber, filter: FILTER, qos, ...form });
  };
  const deliver = (qos: QoS, times: number) => {
    const message = { topic: "t", payload: new Uint8Array(0), qos, retain: false, properties: undefined };
    return Array.from({ length: times }, () => shared.deliver(FILTER, message));
  };
  add("kept", true, 1);
  expect(deliver(1, 1)).toEqual([false]);
  expect(deliver(0, 1)).toEqual([true]);
  add("kept at most once", true, 0);
  add("live", false, 2);
  got.length = 0;
  deliver(2, 4);
  expect(got.toSorted()).toEqual(["kept at most once", "kept at most once", "live", "live"]);
  got.length = 0;
  deliver(0, 3);
  expect(got.toSorted()).toEqual(["kept", "kept at most once", "live"]);
});
