import { seededPrng } from "@skein/kernel";
import { expect, test } from "vitest";
import { EventQueue } from "../../src/world/event-queue.ts";
import { FloatingKernel } from "../../src/world/floating-kernel.ts";
import { SimProcess } from "../../src/world/sim-process.ts";

const CLIENT = 2;

function kernels() {
  const events = new EventQueue();
  const changes: string[] = [];
  const kernel = new FloatingKernel("10.0.0.250", 3, {
    events,
    prng: seededPrng(1),
    isReachable: () => true,
    changed: (machine, isAdded) => changes.push(`${isAdded ? "+" : "-"}${machine}`),
    tickle: (machine, host, port) => changes.push(`tickle ${machine} ${host}:${port}`),
  });
  const processes = [0, 1].map(
    () => new SimProcess(events, { rate: 1, bootedAt: 0, sleptMs: 0, wallOffsetMs: 0 }, () => {}),
  );
  const ports = processes.map((process, machine) => kernel.openFor(process, machine));
  const batches = ports.map((port) =>
    port.start(
      "ip",
      ["-force", "-batch", "-"],
      () => {},
      () => {},
    ),
  );
  const renew = (machine: number) =>
    batches[machine]?.writeLine("addr replace 10.0.0.250/32 dev eth0 valid_lft 2 preferred_lft 2");
  return { events, kernel, changes, processes, ports, batches, renew };
}

test("the kernel removes an address that is not renewed after 2.0 to 2.5 s, also when the process is dead", () => {
  const { events, kernel, changes, processes, renew } = kernels();
  renew(0);
  events.runUntil(1900);
  renew(0);
  processes[0]?.kill();
  renew(0);
  events.runUntil(3890);
  expect(kernel.isOn(0)).toBe(true);
  events.runUntil(4420);
  expect(changes).toEqual(["+0", "-0"]);
});

test("a client talks to the old holder until gratuitous ARP or a look at its stale entry", () => {
  const { events, kernel, ports, batches, renew } = kernels();
  renew(0);
  expect(kernel.locate(CLIENT)).toBe(0);
  batches[0]?.writeLine("addr del 10.0.0.250/32 dev eth0");
  renew(1);
  expect(kernel.locate(CLIENT)).toBe(0);
  ports[1]?.openShell().run("arping -U", ["eth0", "10.0.0.250"], 1000, () => {});
  events.runUntil(10);
  expect(kernel.locate(CLIENT)).toBe(1);
  kernel.powerLost(1);
  expect(kernel.locate(CLIENT)).toBe(1);
  events.runUntil(6000);
  expect(kernel.locate(CLIENT)).toBeUndefined();
});

test("a probe is answered by another machine that has the address and by a stranger, never by the one that asks", () => {
  const { events, kernel, ports, renew } = kernels();
  const answers: (readonly [number, string])[] = [];
  const probe = (machine: number): void => {
    ports[machine]?.openShell().run("arping -D", [], 400, ({ output }) => answers.push([events.now, output]));
  };
  renew(0);
  probe(0);
  events.runUntil(500);
  expect(answers).toEqual([[400, ""]]);
  kernel.hasStranger = true;
  probe(1);
  events.runUntil(600);
  expect(answers[1]).toEqual([506, "reply [02:00:00:00:00:00]\nreply [06:00:00:00:00:99]\n"]);
});

test("a tickle goes to each client's port, from the machine that has the address only", () => {
  const { events, changes, ports, renew } = kernels();
  renew(0);
  const ways = ["IP4-SENDTO:10.0.1.7:6,bind=10.0.0.250", "IP4-SENDTO:10.0.1.8:6,bind=10.0.0.250"];
  const args = ways.flatMap((way) => [String.raw`\0007\0133\0234\0101`, way]);
  for (const port of ports) port.openShell().run("socat", args, 1000, () => {});
  events.runUntil(100);
  expect(changes).toEqual(["+0", "tickle 0 10.0.1.7:40001", "tickle 0 10.0.1.8:40001"]);
});
