/**
 * A floating address without the rights that it takes, on a network of namespaces (needs root): nodes that lack CAP_NET_ADMIN say so and serve
 * all the same, found by the mesh's name; one that lacks only CAP_NET_RAW holds the address, and says what it cannot do.
 */

import { connectAsync } from "mqtt";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { eventually } from "../containers/support/eventually.ts";
import { isRoot } from "../support/boxes.ts";
import { connect, gather } from "../support/mqtt-clients.ts";
import { FLOATING, INSTANCE, NAME, NamedMesh } from "../support/named-mesh.ts";
import type { NodeProcess } from "../support/node-process.ts";

const ALLOW =
  "give it with --cap-add NET_ADMIN --cap-add NET_RAW (Docker) or AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW (systemd)";
const NO_ADMIN = `No permission to set addresses (CAP_NET_ADMIN). Running without the floating address; use test.local or node addresses, or ${ALLOW}`;
const NO_RAW = `No permission to send raw packets (CAP_NET_RAW): when this node takes the floating address, clients may need up to a minute to find it, and idle ones notice it only at their keep-alive; ${ALLOW}`;

let mesh: NamedMesh;

beforeAll(async () => {
  if (!isRoot) return;
  mesh = await NamedMesh.start(["net_admin", "net_raw"]);
  await formed();
  // Two that founded a mesh each let nobody in while they become one.
  await Promise.all(mesh.nodes.map((node) => node.serving()));
}, 120_000);

afterAll(async () => {
  await mesh?.remove();
});

/** Waits until all are one mesh with a coordinator; healthy they never are. */
async function formed(): Promise<void> {
  await eventually("they are one mesh", { withinMs: 45_000, everyMs: 100 }, async () => {
    const statuses = await Promise.all(mesh.nodes.map((node) => node.status()));
    for (const { quorum, merge, coordinator: id, cluster, members } of statuses) {
      const alive = members.filter(({ state }) => state === "alive").length;
      const isOne = id === statuses[0]?.coordinator && cluster === statuses[0]?.cluster && merge === null;
      if (!isOne || !quorum || alive !== mesh.nodes.length) throw new Error(JSON.stringify(statuses));
    }
  });
}

/** What `node` has logged that it lacks itself. */
function missing(node: NodeProcess): ReadonlySet<string> {
  return new Set(node.log.map(({ msg }) => msg).filter((msg) => msg.startsWith("No permission")));
}

/** Where all who ask are led while `host` is the way in. */
function ledTo(host: string) {
  return { addresses: new Set([host]), instances: new Set([INSTANCE.name]) };
}

/** A message from a client at `host` comes to one of `subscribed`. */
async function passes(host: string, subscribed: NodeProcess): Promise<void> {
  const { value: publisher } = await eventually(`${host} answers`, { withinMs: 15_000 }, () =>
    connectAsync(`mqtt://${host}:1883`, { reconnectPeriod: 0 }),
  );
  onTestFinished(() => publisher.endAsync(true));
  const subscriber = await connect(subscribed);
  await subscriber.subscribeAsync("hall/#", { qos: 1 });
  const received = gather(subscriber, 1);
  await publisher.publishAsync("hall/lamp", "on", { qos: 1 });
  expect((await received).map(({ payload }) => payload)).toEqual(["on"]);
}

test.runIf(isRoot)(
  "R30: a node without CAP_NET_ADMIN and CAP_NET_RAW says so, with the way out, in log and status, and serves",
  async () => {
    for (const node of mesh.nodes) {
      await node.waitForLog("what it lacks", ({ msg }) => msg === NO_ADMIN);
      const { health, reasons, vip } = await node.status();
      expect({ health, reasons }).toEqual({ health: "degraded", reasons: [NO_ADMIN] });
      expect(vip).toMatchObject({ address: FLOATING, holder: null });
    }
    const [a, b, c] = mesh.nodes as [NodeProcess, NodeProcess, NodeProcess];
    await passes(a.host, b);
    await passes(b.host, c);
    for (const node of [a, b, c]) {
      expect(missing(node)).toEqual(new Set([NO_RAW, NO_ADMIN]));
    }
  },
);

test.runIf(isRoot)(
  "R20: where nobody can set the address the mesh's name leads to the coordinator, and follows it when its node is killed",
  async () => {
    const past = await mesh.coordinator();
    expect(await mesh.answers()).toMatchObject(ledTo(past.host));
    expect(mesh.client.cached(NAME)).toEqual([past.host]);
    const from = mesh.client.heard.length;
    await past.kill();
    const next = await mesh.coordinator(past);
    await mesh.client.hears("where the mesh is now", from, (records) =>
      records.some(({ name, data }) => name === NAME.name && data === next.host),
    );
    // A second after the first packet that says so at the latest; until then the past one may stay beside it.
    const led = mesh.client.cached(NAME, performance.now() + 1001);
    expect(led).toEqual([next.host]);
    expect(await mesh.answers()).toMatchObject(ledTo(next.host));
    await next.serving();
    await passes(led[0] ?? "", next);
    await past.start();
  },
);

test.runIf(isRoot)(
  "a node that lacks only CAP_NET_RAW holds the address for the others, and says what it cannot do and what to do about it",
  async () => {
    const node = await mesh.connect(14, ["net_raw"]);
    const from = mesh.client.heard.length;
    await node.start();
    await node.waitForLog("that it has the address", ({ msg }) => msg === "took the floating address");
    await passes(FLOATING, node);
    const { reasons } = await node.status();
    expect(reasons).toContain(NO_RAW);
    expect(missing(node)).toEqual(new Set([NO_RAW]));
    await mesh.client.hears("where the mesh is now", from, (records) =>
      records.some(({ name, data }) => name === NAME.name && data === FLOATING),
    );
    expect(await mesh.answers()).toMatchObject(ledTo(FLOATING));
    // What it had heard less than a second before stays for one (RFC 6762, section 10.2).
    expect(mesh.client.cached(NAME, performance.now() + 1001)).toEqual([FLOATING]);
  },
);
