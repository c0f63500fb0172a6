/**
 * R20: clients find the mesh by its name. One node answers for `<mesh>.local` and for the one instance of `_mqtt._tcp`, the one that
 * holds the floating address; asked, and heard, by multicast DNS on a network of namespaces (needs root).
 */

import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../../containers/support/eventually.ts";
import { isRoot } from "../../support/boxes.ts";
import type { HeardRecord } from "../../support/dns-client.ts";
import {
  FLOATING,
  HOSTS,
  INSTANCE,
  isAboutTheMesh,
  NAME,
  NamedMesh,
  SERVICE,
} from "../../support/named-mesh.ts";
import { NetworkLab } from "../../support/network-lab.ts";
import { waitUntilHealthy } from "../../support/node-process.ts";

const NODES = { name: "_skein._tcp.local", type: "PTR" } as const;

let mesh: NamedMesh;

beforeAll(async () => {
  if (!isRoot) return;
  mesh = await NamedMesh.start();
  await waitUntilHealthy(mesh.nodes);
}, 120_000);

afterAll(async () => {
  await mesh?.remove();
});

/** What everybody may know of the mesh, whoever coordinates. */
const RIGHT = {
  addresses: new Set([FLOATING]),
  instances: new Set([INSTANCE.name]),
  servers: new Set([`${NAME.name}:1883`]),
};

/** What the client has in its cache, at `at`. */
function cached(at?: number) {
  return [NAME, SERVICE, INSTANCE].map((question) => mesh.client.cached(question, at));
}
const CACHED = [[FLOATING], [INSTANCE.name], [`${NAME.name}:1883`]];

test.runIf(isRoot)(
  "R20: the coordinator alone answers for the mesh's name, with the floating address, and for one instance of _mqtt._tcp",
  async () => {
    const { host } = await mesh.coordinator();
    expect(await mesh.answers()).toEqual({ ...RIGHT, by: new Set([host]) });
    expect(cached()).toEqual(CACHED);
  },
);

test.runIf(isRoot)(
  "R20: when the coordinator's node is killed its successor alone answers, and who keeps what it has heard stays right",
  async () => {
    const past = await mesh.coordinator();
    const from = mesh.client.heard.length;
    await past.kill();
    const next = await mesh.coordinator(past);
    await mesh.client.hears("the successor's announcement", from, (records) =>
      records.some((one) => one.from === next.host && isAboutTheMesh(one)),
    );
    expect(cached()).toEqual(CACHED);
    expect(await mesh.answers()).toEqual({ ...RIGHT, by: new Set([next.host]) });
    await past.start();
    await waitUntilHealthy(mesh.nodes);
  },
);

test.runIf(isRoot)(
  "R20: a coordinator that stood still withdraws the name only after its successor has announced it, and clients that keep it keep it",
  async () => {
    const past = await mesh.coordinator();
    const from = mesh.client.heard.length;
    process.kill(past.pid as number, "SIGSTOP");
    const next = await mesh.coordinator(past);
    await mesh.client.hears("the successor's announcement", from, (records) =>
      records.some((one) => one.from === next.host && isAboutTheMesh(one)),
    );
    const woken = mesh.client.heard.length;
    process.kill(past.pid as number, "SIGCONT");
    let goodbye: HeardRecord | undefined;
    await mesh.client.hears("the goodbye", woken, (records) => {
      goodbye = records.find((one) => one.from === past.host && one.ttl === 0 && isAboutTheMesh(one));
      return goodbye !== undefined;
    });
    const { at } = goodbye as HeardRecord;
    await eventually("it is contradicted", { withinMs: 1000, everyMs: 20 }, async () => {
      expect(cached(at + 1001)).toEqual(CACHED);
    });
    await waitUntilHealthy(mesh.nodes);
    expect((await mesh.answers()).by).toEqual(new Set([(await mesh.coordinator()).host]));
  },
);

test.runIf(isRoot)(
  "R20: no node takes the floating address for one of its own, neither when it holds it nor when it held it",
  async () => {
    await mesh.client.ask(NODES);
    const nodes = mesh.client.heard.filter(({ name, type }) => name.startsWith("skein-") && type === "A");
    const own = HOSTS.map((host) => NetworkLab.address(host));
    expect(new Set(nodes.map(({ data }) => data))).toEqual(new Set(own));
    for (const { from, data } of nodes) expect(data).toBe(from);
  },
);
