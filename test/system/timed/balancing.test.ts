/**
 * One address, several nodes behind it: clients are spread, exercises are run, on a network of namespaces (root, iproute2).
 *
 * Each node is a process with a network stack of its own, so addresses really move and resets really arrive.
 */

import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { encodeProxyHeader } from "@skein/kernel";
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Credentials, TestAuthority } from "../../../packages/platform/test/support/certificates.ts";
import { eventually } from "../../containers/support/eventually.ts";
import { launcherIn, NetworkLab } from "../../support/network-lab.ts";
import { NodeProcess, newMeshKey, runSkein, waitUntilHealthy } from "../../support/node-process.ts";

const ADDRESS = NetworkLab.address(100);
const SELF = NetworkLab.address(254);
const PORTS = { mqtt: 1883, link: 7883, http: 7880 };
const HOSTS = [1, 2, 3];

let lab: NetworkLab;
let authority: TestAuthority;
/** Of the client with that name. */
let device: Credentials;
let nodes: NodeProcess[] = [];
const launchers = new Map<NodeProcess, readonly string[]>();
let clients: MqttClient[] = [];

beforeAll(async () => {
  lab = new NetworkLab();
  lab.join(254);
  authority = new TestAuthority();
  device = authority.issue({ cn: "device" });
  const own = authority.issue({ cn: "mesh", san: `IP:${ADDRESS}` });
  const meshKey = newMeshKey();
  nodes = HOSTS.map((host) => {
    const launcher = launcherIn(lab.connect(host));
    const peers = HOSTS.filter((other) => other !== host).map((other) => `${NetworkLab.address(other)}:7883`);
    const args = [
      "--allow-anonymous",
      "--vip",
      `${ADDRESS}%eth0`,
      "--balance",
      "proxy",
      "--log-level",
      "debug",
    ];
    args.push("--listen", "ws://0.0.0.0:9001", "--tls-cert", own.certificate, "--tls-key", own.key);
    args.push("--listen", "wss://0.0.0.0:8084", "--listen", "mqtts://0.0.0.0:8884");
    args.push("--listen", `mqtts://0.0.0.0:8883?client-ca=${authority.certificate}`);
    const node = new NodeProcess({
      name: `n${host}`,
      host: NetworkLab.address(host),
      ports: PORTS,
      meshKey,
      peers,
      args,
      launcher,
    });
    launchers.set(node, launcher);
    return node;
  });
  for (const node of nodes) node.launch();
  await Promise.all(nodes.map((node) => node.serving()));
});

beforeEach(async () => {
  await waitUntilHealthy(nodes);
});

afterEach(async () => {
  await Promise.all(clients.map((client) => client.endAsync(true)));
  clients = [];
  // Also by what the nodes have heard of each other: the next test's clients are spread by that.
  await eventually("all clients have gone", { withinMs: 10_000 }, async () => {
    for (const { members } of await Promise.all(nodes.map((node) => node.status())))
      for (const { clients: count } of members) if (count !== 0) throw new Error(`${count} clients`);
  });
});

afterAll(async () => {
  await Promise.all(nodes.map((node) => node.remove()));
  lab?.remove();
  authority?.remove();
});

/** Connects through the address; comes back by itself. */
async function connect(
  url = `mqtt://${ADDRESS}:1883`,
  shown: Pick<IClientOptions, "cert" | "key"> = {},
): Promise<MqttClient> {
  const client = await connectAsync(url, {
    ...shown,
    ca: readFileSync(authority.certificate),
    clientId: `lab-${randomBytes(6).toString("hex")}`,
    protocolVersion: 5,
    keepalive: 60,
    reconnectPeriod: 200,
    connectTimeout: 5000,
  });
  client.on("error", () => undefined);
  clients.push(client);
  return client;
}

async function connectMany(count: number): Promise<MqttClient[]> {
  return Promise.all(Array.from({ length: count }, () => connect()));
}

async function counts(): Promise<number[]> {
  return Promise.all(nodes.map(async (node) => (await node.status()).clients));
}

async function holder(): Promise<NodeProcess> {
  const { value } = await eventually("one node holds the address", { withinMs: 20_000 }, async () => {
    const { vip, members } = await (nodes[0] as NodeProcess).status();
    const name = members.find(({ id }) => id === vip.holder)?.name;
    const node = nodes.find((candidate) => candidate.name === name);
    if (node === undefined) throw new Error(JSON.stringify(vip));
    return node;
  });
  return value;
}

async function allConnected(of: readonly MqttClient[], withinMs: number): Promise<void> {
  await eventually("all clients are connected", { withinMs, everyMs: 50 }, async () => {
    const missing = of.filter(({ connected }) => !connected).length;
    if (missing > 0) throw new Error(`${missing} of ${of.length} are not`);
  });
}

test("clients of the address are spread over the nodes, and messages flow between them", async () => {
  const many = await connectMany(12);
  const spread = await counts();
  expect(spread.reduce((sum, count) => sum + count)).toBe(12);
  expect(Math.min(...spread)).toBeGreaterThanOrEqual(2);
  const received = new Set<string>();
  for (const [at, client] of many.entries()) {
    client.on("message", (_, payload) => received.add(`${at} ${payload}`));
    await client.subscribeAsync("lab/all", { qos: 1 });
  }
  await Promise.all(many.map((client, at) => client.publishAsync("lab/all", `from ${at}`, { qos: 1 })));
  await eventually("each has heard each", { withinMs: 10_000 }, async () => {
    if (received.size !== 144) throw new Error(`${received.size} of 144`);
  });
});

test("a node that serves a passed client knows where it is, and gives 5.0 clients the keep alive of the address", async () => {
  const opened: { readonly clientId: string; readonly socket: Socket }[] = [];
  for (let at = 0; at < 9; at++) {
    const clientId = `raw-${at}`;
    const socket = connectTcp({ host: ADDRESS, port: 1883 });
    socket.on("error", () => undefined);
    let received = Buffer.alloc(0);
    socket.on("data", (bytes) => {
      received = Buffer.concat([received, bytes]);
    });
    socket.write(connectPacket(clientId));
    await eventually("CONNACK", { withinMs: 5000 }, async () => {
      if (received.length === 0) throw new Error("nothing yet");
    });
    // Server Keep Alive (0x13): 15 s, wherever it is served.
    expect(received.includes(Buffer.from([0x13, 0x00, 0x0f]))).toBe(true);
    opened.push({ clientId, socket });
  }
  for (const { clientId, socket } of opened) {
    const remoteAddress = `${SELF}:${socket.localPort}`;
    // A packet that no client may send: the broker that serves it says who did it.
    socket.write(Buffer.from([0xf0, 0x00, 0x00]));
    await eventually("one node tells of the client by its own address", { withinMs: 5000 }, async () => {
      const lines = nodes.flatMap(({ log }) => log.filter(({ msg }) => msg === "client refused"));
      if (!lines.some(({ clientId: id, remoteAddress: at }) => id === clientId && at === remoteAddress))
        throw new Error(JSON.stringify(lines.at(-1)));
    });
  }
  const tellers = nodes.filter(({ log }) => log.some(({ msg }) => msg === "client refused"));
  expect(tellers.length).toBeGreaterThan(1);
});

test("WebSocket clients of the address are spread as well", async () => {
  await Promise.all(Array.from({ length: 9 }, () => connect(`ws://${ADDRESS}:9001/mqtt`)));
  const spread = await counts();
  expect(spread.reduce((sum, count) => sum + count)).toBe(9);
  // How evenly is another test's: whom the holder sent to a node within the last 2.5 s may count there, gone or not.
  expect(spread.filter((count) => count > 0).length).toBeGreaterThan(1);
});

test("encrypted clients are passed on as they are, to the listener of the same port, with their identity and address", async () => {
  const { certificate, key } = device;
  const shown = { cert: readFileSync(certificate), key: readFileSync(key) };
  // The node that serves it asks for the certificate, so the first mqtts listener would not do for port 8883, nor the second for 8884.
  await Promise.all(Array.from({ length: 6 }, () => connect(`mqtts://${ADDRESS}:8883`, shown)));
  await Promise.all(Array.from({ length: 6 }, () => connect(`mqtts://${ADDRESS}:8884`)));
  await Promise.all(Array.from({ length: 6 }, () => connect(`wss://${ADDRESS}:8084/mqtt`)));
  const spread = await counts();
  expect(spread.reduce((sum, count) => sum + count)).toBe(18);
  expect(spread.filter((count) => count > 0).length).toBeGreaterThan(1);
  const lines = nodes.flatMap(({ log }) => log.filter(({ msg }) => msg === "client connected"));
  const of = (port: number) => lines.filter(({ listener }) => String(listener).endsWith(`:${port}`));
  expect([of(8883).length, of(8884).length, of(8084).length]).toEqual([6, 6, 6]);
  for (const { userName } of of(8883)) expect(userName).toBe("device");
  for (const { remoteAddress } of [...of(8883), ...of(8884), ...of(8084)])
    expect(remoteAddress).toMatch(new RegExp(`^${SELF.replaceAll(".", "\\.")}:\\d+$`));
});

test("P10: a stranger on the network cannot claim a client's address at the entry for passed clients", async () => {
  const [node] = nodes as [NodeProcess];
  const header = encodeProxyHeader({
    command: "proxy",
    source: { address: "198.18.77.66", port: 6666 },
    destination: { address: ADDRESS, port: 1883 },
    fields: [],
  });
  for (const port of [PORTS.link, PORTS.mqtt]) {
    const socket = connectTcp({ host: node.host, port });
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => undefined);
    socket.write(Buffer.concat([header, connectPacket("spoofed")]));
    socket.resume();
    await closed;
  }
  await node.waitForLog("that a stranger was refused", ({ msg, reason }) => {
    return /^link refused/.test(msg) && /without proof/.test(String(reason));
  });
  expect(
    nodes.flatMap(({ log }) => log).filter((line) => JSON.stringify(line).includes("198.18.77.66")),
  ).toEqual([]);
  expect(await counts()).toEqual([0, 0, 0]);
});

test("when a serving node dies only its clients are reset, and they come back through the address", async () => {
  const many = await connectMany(12);
  const held = await holder();
  const victim = nodes.find((node) => node !== held) as NodeProcess;
  const served = (await victim.status()).clients;
  let lost = 0;
  for (const client of many) client.on("close", () => lost++);
  await victim.kill();
  await eventually("its clients notice", { withinMs: 5000 }, async () => {
    if (lost < served) throw new Error(`${lost} of ${served}`);
  });
  await allConnected(many, 10_000);
  expect(lost).toBe(served);
  await victim.start();
});

test("P1, P2: when the holder dies all clients of the address are reset, and all come back to its successor", async () => {
  const many = await connectMany(12);
  const held = await holder();
  let lost = 0;
  for (const client of many) client.on("close", () => lost++);
  await held.kill();
  await eventually("all notice", { withinMs: 5000 }, async () => {
    if (lost < many.length) throw new Error(`${lost} of ${many.length}`);
  });
  await allConnected(many, 10_000);
  await held.start();
});

test("skein test-failover moves the address from any node, counts the clients back, and exits with 0", async () => {
  await connectMany(9);
  const before = await holder();
  // First from a node that does not hold it, then from the one that does.
  const other = nodes.find((node) => node !== before) as NodeProcess;
  const first = await skein(other, "test-failover", "--json");
  expect(first.code).toBe(0);
  const report = JSON.parse(first.out);
  expect(report).toMatchObject({
    isWell: true,
    address: ADDRESS,
    from: before.name,
    clientsBefore: 9,
    clientsBack: 9,
    connectionsReset: 9,
    retainedLost: 0,
  });
  // P1 asks for a second on a machine that has time; an election would take longer than this.
  expect(report.addressMs).toBeLessThan(2500);
  await waitUntilHealthy(nodes);
  const second = await skein(await holder(), "test-failover");
  expect(second.code).toBe(0);
  expect(second.out).toMatch(
    /^moving VIP n\d -> n\d \.\.\. VIP up \d\.\d s, ARP announced, 9 connections reset, 9\/9 clients back after \d+\.\d s, 0 retained lost\n$/,
  );
});

test.each(["pause", "partition"])(
  "skein drill %s: the holder fails, the others go on, the verdict is measured",
  async (kind) => {
    await connectMany(6);
    const patient = await holder();
    const watcher = nodes.find((node) => node !== patient) as NodeProcess;
    const { code, out, err } = await skein(
      watcher,
      "drill",
      kind,
      patient.name,
      "--for",
      "8s",
      "--yes",
      "--json",
    );
    expect(err).toBe("");
    const report = JSON.parse(out);
    expect(report).toMatchObject({
      isWell: true,
      node: patient.name,
      drill: kind,
      clientsBefore: 6,
      retainedLost: 0,
    });
    expect(report.timeline.map(({ text }: { text: string }) => text)).toContain(
      `${patient.name} answers again`,
    );
    expect(report.addressMs).toBeLessThan(6000);
    expect(code).toBe(0);
    // In its first half second a node that was frozen resets whoever comes: the CONNECT may be old (P9). A device tries again, and so does this.
    await eventually(`${patient.name} takes clients`, { withinMs: 5000 }, () => connect(patient.url));
  },
);

test("skein drill kill: a node ends at once, and is taken back when its supervisor has started it", async () => {
  await connectMany(6);
  const held = await holder();
  const patient = nodes.find((node) => node !== held) as NodeProcess;
  const watching = skein(held, "drill", "kill", patient.name, "--yes");
  expect(await patient.exited()).toMatchObject({ signal: "SIGKILL" });
  await patient.start();
  const { code, out, err } = await watching;
  expect({ code, err }).toEqual({ code: 0, err: "" });
  expect(out).toMatch(
    new RegExp(
      `${patient.name} does not answer\n[^]*${patient.name} answers again\n[^]*Well: .*0 retained lost`,
    ),
  );
});

test("a drill that would stop the mesh is refused, also by the node itself, and one without confirmation too", async () => {
  const [a, b, c] = nodes as [NodeProcess, NodeProcess, NodeProcess];
  expect(await skein(a, "drill", "pause", b.name)).toMatchObject({
    code: 2,
    err: "skein: This drill is in earnest. Add --yes to confirm it without a terminal\n",
  });
  await c.stop();
  await a.waitForStatus("that one node has left", ({ members }) => {
    return members.find(({ name }) => name === c.name)?.state === "left";
  });
  await c.start();
  await waitUntilHealthy(nodes);
  await c.kill();
  await a.waitForStatus("that one node is dead", ({ members }) => {
    return members.find(({ name }) => name === c.name)?.state === "dead";
  });
  const refused = await skein(a, "drill", "kill", b.name, "--yes");
  expect(refused.code).toBe(1);
  expect(refused.err).toMatch(/^skein: A kill of \w+ would stop the mesh: only \w+ would be left/);
  const { members } = await a.status();
  const id = members.find(({ name }) => name === b.name)?.id;
  const response = await fetchIn(a, { node: id, drill: "kill", forMs: 1000 });
  expect(response).toMatch(/would stop the mesh/);
  await c.start();
});

function skein(node: NodeProcess, ...args: readonly string[]) {
  return runSkein([...args, "--http", `${node.host}:${PORTS.http}`], launchers.get(node));
}

/** Posts a drill from the node's own machine, past the command's own checks. */
async function fetchIn(node: NodeProcess, body: unknown): Promise<string> {
  const { execFile } = await import("node:child_process");
  const { promisify } = await import("node:util");
  const [program = "", ...rest] = launchers.get(node) ?? [];
  const script = `fetch("http://${node.host}:${PORTS.http}/api/drill", { method: "POST", headers: { "x-skein": "1" }, body: process.argv[1] }).then(async (answer) => console.log(await answer.text()))`;
  const args = [...rest, process.execPath, "-e", script, JSON.stringify(body)];
  return (await promisify(execFile)(program, args)).stdout;
}

/** CONNECT of MQTT 5, clean start, keep alive 60. */
function connectPacket(clientId: string): Buffer {
  const id = Buffer.from(clientId);
  const body = Buffer.concat([Buffer.from([0, 4, 0x4d, 0x51, 0x54, 0x54, 5, 2, 0, 60, 0, 0, id.length]), id]);
  return Buffer.concat([Buffer.from([0x10, body.length]), body]);
}
