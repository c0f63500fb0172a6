/**
 * R20: clients find the mesh by its name. One node answers for `<mesh>.local` and for the one instance of `_mqtt._tcp`, the one that
 * holds the floating address; asked, and heard, by multicast DNS on a network of namespaces (needs root).
 */

import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../containers/support/eventually.ts";
import { type Box, Boxes, isRoot } from "../support/boxes.ts";
import { DnsClient, type HeardRecord } from "../support/dns-client.ts";
import { NetworkLab } from "../support/network-lab.ts";
import { waitUntilHealthy } from "../support/node-process.ts";

const HOSTS = [11, 12, 13];
const FLOATING = NetworkLab.address(250);
const NAME = { name: "test.local", type: "A" } as const;
const SERVICE = { name: "_mqtt._tcp.local", type: "PTR" } as const;
const INSTANCE = { name: "test._mqtt._tcp.local", type: "SRV" } as const;
const NODES = { name: "_skein._tcp.local", type: "PTR" } as const;

let boxes: Boxes;
let all: Box[];
let client: DnsClient;

beforeAll(async () => {
  if (!isRoot) return;
  boxes = new Boxes();
  const args = ["--vip", `${FLOATING}%eth0`];
  const peers = HOSTS.map((host) => `${NetworkLab.address(host)}:${Boxes.linkPort}`);
  all = await Promise.all(HOSTS.map((host) => boxes.connect(host, { args, peers })));
  client = new DnsClient(boxes.connectOther(20), NetworkLab.address(20));
  await client.ready();
  for (const { node } of all) node.launch();
  await Promise.all(all.map(({ node }) => node.serving()));
  await waitUntilHealthy(all.map(({ node }) => node));
}, 120_000);

afterAll(async () => {
  client?.remove();
  await boxes?.remove();
});

/** The coordinator, as another box than `not` says. */
async function coordinator(not?: Box): Promise<Box> {
  const seen = await eventually("there is a coordinator", { withinMs: 30_000 }, async () => {
    for (const box of all) {
      if (box === not) continue;
      const { node, coordinator: id, quorum } = await box.node.status();
      if (quorum && node === id) return box;
    }
    throw new Error("none yet");
  });
  return seen.value;
}

/** What a client is told of the mesh, and by whom. */
async function answers() {
  const records = await client.ask(NAME, SERVICE);
  const told = (type: string, name: string) =>
    new Set(records.filter((one) => one.type === type && one.name === name).map(({ data }) => data));
  return {
    by: new Set(records.filter(isAboutTheMesh).map(({ from }) => from)),
    addresses: told("A", NAME.name),
    instances: told("PTR", SERVICE.name),
    servers: told("SRV", INSTANCE.name),
  };
}

function isAboutTheMesh({ name }: HeardRecord): boolean {
  return name === NAME.name || name === SERVICE.name || name === INSTANCE.name;
}

/** What everybody may know of the mesh, whoever coordinates. */
const RIGHT = {
  addresses: new Set([FLOATING]),
  instances: new Set([INSTANCE.name]),
  servers: new Set([`${NAME.name}:1883`]),
};

/** What the client has in its cache, at `at`. */
function cached(at?: number) {
  return [NAME, SERVICE, INSTANCE].map((question) => client.cached(question, at));
}
const CACHED = [[FLOATING], [INSTANCE.name], [`${NAME.name}:1883`]];

test.runIf(isRoot)(
  "R20: the coordinator alone answers for the mesh's name, with the floating address, and for one instance of _mqtt._tcp",
  async () => {
    const { node } = await coordinator();
    expect(await answers()).toEqual({ ...RIGHT, by: new Set([node.host]) });
    expect(cached()).toEqual(CACHED);
  },
);

test.runIf(isRoot)(
  "R20: when the coordinator's node is killed its successor alone answers, and who keeps what it has heard stays right",
  async () => {
    const past = await coordinator();
    const from = client.heard.length;
    await past.node.kill();
    const next = await coordinator(past);
    await client.hears("the successor's announcement", from, (records) =>
      records.some((one) => one.from === next.node.host && isAboutTheMesh(one)),
    );
    expect(cached()).toEqual(CACHED);
    expect(await answers()).toEqual({ ...RIGHT, by: new Set([next.node.host]) });
    await past.node.start();
    await waitUntilHealthy(all.map(({ node }) => node));
  },
);

test.runIf(isRoot)(
  "R20: a coordinator that stood still withdraws the name only after its successor has announced it, and clients that keep it keep it",
  async () => {
    const past = await coordinator();
    const from = client.heard.length;
    process.kill(past.node.pid as number, "SIGSTOP");
    const next = await coordinator(past);
    await client.hears("the successor's announcement", from, (records) =>
      records.some((one) => one.from === next.node.host && isAboutTheMesh(one)),
    );
    const woken = client.heard.length;
    process.kill(past.node.pid as number, "SIGCONT");
    let goodbye: HeardRecord | undefined;
    await client.hears("the goodbye", woken, (records) => {
      goodbye = records.find((one) => one.from === past.node.host && one.ttl === 0 && isAboutTheMesh(one));
      return goodbye !== undefined;
    });
    const { at } = goodbye as HeardRecord;
    await eventually("it is contradicted", { withinMs: 1000, everyMs: 20 }, async () => {
      expect(cached(at + 1001)).toEqual(CACHED);
    });
    await waitUntilHealthy(all.map(({ node }) => node));
    expect((await answers()).by).toEqual(new Set([(await coordinator()).node.host]));
  },
);

test.runIf(isRoot)(
  "R20: no node takes the floating address for one of its own, neither when it holds it nor when it held it",
  async () => {
    await client.ask(NODES);
    const nodes = client.heard.filter(({ name, type }) => name.startsWith("skein-") && type === "A");
    const own = HOSTS.map((host) => NetworkLab.address(host));
    expect(new Set(nodes.map(({ data }) => data))).toEqual(new Set(own));
    for (const { from, data } of nodes) expect(data).toBe(from);
  },
);
