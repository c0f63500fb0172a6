/** Listeners beside plain TCP: TLS, WebSocket over TLS, Unix sockets, PROXY; who comes in, and certificates that change. */

import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { connectAsync, type IClientOptions, type MqttClient } from "mqtt";
import { generate } from "mqtt-packet";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { TestAuthority } from "../../packages/platform/test/support/certificates.ts";
import { eventually } from "../containers/support/eventually.ts";
import { freePorts } from "../support/free-ports.ts";
import { gather } from "../support/mqtt-clients.ts";
import { type LogLine, makeNode, type NodeProcess, runSkein } from "../support/node-process.ts";
import { hasMosquitto, runProgram } from "../support/programs.ts";

const authority = new TestAuthority();
const stranger = new TestAuthority("Another CA");
const files = mkdtempSync(join(tmpdir(), "skein-listeners-"));
const [certificate, key] = [join(files, "server.pem"), join(files, "server.key")];
const socketPath = join(files, "mqtt.sock");
const ca = readFileSync(authority.certificate);

let node: NodeProcess;
let ports: { other: number; tls: number; wss: number; mtls: number; proxied: number; small: number };

/** Puts a certificate for this machine with Common Name `cn` in place. */
function install(cn: string): void {
  const made = authority.issue({ cn, san: "DNS:localhost,IP:127.0.0.1" });
  copyFileSync(made.certificate, certificate);
  copyFileSync(made.key, key);
}

beforeAll(async () => {
  const [tls = 0, wss = 0, mtls = 0, proxied = 0, small = 0, other = 0] = await freePorts(6);
  ports = { tls, wss, mtls, proxied, small, other };
  install("first");
  const args = ["--log-level", "debug", "--tls-cert", certificate, "--tls-key", key];
  const urls = [
    `mqtts://127.0.0.1:${tls}`,
    `wss://127.0.0.1:${wss}`,
    `mqtts://127.0.0.2:${other}`,
    `mqtts://127.0.0.1:${mtls}?client-ca=${authority.certificate}`,
    `mqtt://127.0.0.1:${proxied}?proxy=on`,
    `mqtt://127.0.0.1:${small}?max-clients=1`,
    `unix://${socketPath}`,
  ];
  node = await makeNode({ name: "a", args: [...args, ...urls.flatMap((url) => ["--listen", url])] });
  await node.start();
});

afterAll(async () => {
  await node?.remove();
  authority.remove();
  stranger.remove();
  rmSync(files, { recursive: true, force: true });
});

async function dial(url: string, options: IClientOptions = {}): Promise<MqttClient> {
  const client = await connectAsync(url, { reconnectPeriod: 0, protocolVersion: 5, ca, ...options });
  client.on("error", () => undefined);
  onTestFinished(async () => {
    await client.endAsync(true);
  });
  return client;
}

/** The next line that the node logs from now on of which `isWanted` is true. */
function nextLine(what: string, isWanted: (line: LogLine) => boolean): Promise<LogLine> {
  const seen = new Set(node.log);
  return node.waitForLog(what, (line) => !seen.has(line) && isWanted(line));
}

function connectPacket(clientId: string): Buffer {
  return generate({
    cmd: "connect",
    protocolId: "MQTT",
    protocolVersion: 4,
    clean: true,
    keepalive: 0,
    clientId,
  });
}

/** Common Name of the certificate that clients are shown. */
function shown(port: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: "127.0.0.1", port, ca, servername: "localhost" });
    socket.once("error", reject);
    socket.once("secureConnect", () => {
      resolve(socket.getPeerX509Certificate()?.toLegacyObject().subject.CN);
      socket.destroy();
    });
  });
}

test("clients over TLS, WebSocket over TLS and plain TCP reach each other", async () => {
  const page = await dial(`wss://localhost:${ports.wss}/any/path`);
  await page.subscribeAsync("to/page", { qos: 1 });
  const device = await dial(`mqtts://localhost:${ports.tls}`);
  await device.subscribeAsync("to/device", { qos: 2 });
  const plain = await dial(node.url);
  const [atPage, atDevice] = [gather(page, 2), gather(device, 2)];
  await plain.publishAsync("to/page", "from plain", { qos: 1 });
  await device.publishAsync("to/page", "from device", { qos: 1 });
  await plain.publishAsync("to/device", "from plain", { qos: 2 });
  await page.publishAsync("to/device", "from page", { qos: 2 });
  expect((await atPage).map(({ payload }) => payload)).toEqual(["from plain", "from device"]);
  expect((await atDevice).map(({ payload }) => payload)).toEqual(["from plain", "from page"]);
});

test.runIf(hasMosquitto())(
  "mosquitto's clients come in over TLS, with a certificate, and over a Unix socket",
  async () => {
    const own = authority.issue({ cn: "boiler" });
    const tls = ["-h", "localhost", "--cafile", authority.certificate];
    const subscribed = nextLine(
      "that the subscriber came",
      ({ msg, clientId }) => msg === "client connected" && clientId === "sub",
    );
    const received = runProgram("mosquitto_sub", [
      ...tls,
      "-p",
      String(ports.tls),
      "-i",
      "sub",
      "-q",
      "1",
      "-t",
      "m/#",
      "-v",
      "-C",
      "2",
      "-W",
      "20",
    ]);
    await subscribed;
    await runProgram("mosquitto_pub", ["--unix", socketPath, "-t", "m/unix", "-m", "one", "-q", "1", "-r"]);
    const withCertificate = [...tls, "-p", String(ports.mtls), "--cert", own.certificate, "--key", own.key];
    await runProgram("mosquitto_pub", [
      ...withCertificate,
      "-t",
      "m/certificate",
      "-m",
      "two",
      "-q",
      "1",
      "-r",
    ]);
    const lines = (await received).trim().split("\n");
    expect(lines.sort()).toEqual(["m/certificate two", "m/unix one"]);
  },
);

test("skein pub and skein sub come in over TLS, with a certificate and over a Unix socket, and say what is wrong", async () => {
  const own = authority.issue({ cn: "shell" });
  const tls = ["-h", "localhost", "--cafile", authority.certificate];
  const message = (text: string) => ["-t", "shell/said", "-m", text, "-r", "-q", "1"];
  const withCertificate = [...tls, "-p", String(ports.mtls), "--cert", own.certificate, "--key", own.key];
  const good = { code: 0, err: "" };
  expect(await runSkein(["pub", ...withCertificate, ...message("certificate")])).toMatchObject(good);
  const look = ["-t", "shell/said", "-C", "1", "-W", "20"];
  const overUnix = await runSkein(["sub", "--unix", socketPath, ...look]);
  expect(overUnix).toMatchObject({ ...good, out: "certificate\n" });
  expect(await runSkein(["pub", "--unix", socketPath, ...message("unix")])).toMatchObject(good);
  const overTls = await runSkein(["sub", ...tls, "-p", String(ports.tls), ...look]);
  expect(overTls).toMatchObject({ ...good, out: "unix\n" });

  const strange = ["-h", "localhost", "--cafile", stranger.certificate, "-p", String(ports.tls)];
  expect(await runSkein(["pub", ...strange, ...message("x")])).toMatchObject({
    code: 1,
    err: expect.stringMatching(
      /^skein: Cannot connect to localhost:\d+: its certificate is not signed by an authority that is known here \(\w+\)\. Give that with --cafile FILE\.\n$/,
    ),
  });
  const misnamed = ["-h", "127.0.0.2", "--cafile", authority.certificate, "-p", String(ports.other)];
  expect(await runSkein(["pub", ...misnamed, ...message("x")])).toMatchObject({
    code: 1,
    err: expect.stringMatching(
      /: its certificate is for other names\. Connect to one of those with -h HOST, or add --insecure\.\n$/,
    ),
  });
  expect(await runSkein(["pub", ...misnamed, "--insecure", ...message("insecure")])).toMatchObject(good);
  expect(await runSkein(["pub", "--cafile", "/nonexistent/ca.pem", ...message("x")])).toMatchObject({
    code: 2,
    err: 'skein: Cannot use --cafile "/nonexistent/ca.pem": there is no such file.\n',
  });
});

test("with a client CA the certificate says who the client is, whatever its CONNECT says", async () => {
  const own = authority.issue({ cn: "boiler" });
  const line = nextLine(
    "that it came",
    ({ msg, clientId }) => msg === "client connected" && clientId === "the-boiler",
  );
  await dial(`mqtts://localhost:${ports.mtls}`, {
    clientId: "the-boiler",
    username: "admin",
    password: "x",
    cert: readFileSync(own.certificate),
    key: readFileSync(own.key),
  });
  expect(await line).toMatchObject({ userName: "boiler", listener: `mqtts://127.0.0.1:${ports.mtls}` });
});

/** What the listener that wants certificates says to a CONNECT before it ends the connection. */
function answerTo(shownFiles: { readonly cert?: Buffer; readonly key?: Buffer }): Promise<Buffer> {
  return new Promise((resolve) => {
    const socket = connectTls({
      host: "127.0.0.1",
      port: ports.mtls,
      ca,
      servername: "localhost",
      ...shownFiles,
    });
    const answer: Buffer[] = [];
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => answer.push(bytes));
    socket.once("close", () => resolve(Buffer.concat(answer)));
    socket.once("secureConnect", () => socket.write(connectPacket("nobody")));
  });
}

test("with a client CA nobody gets as far as MQTT without a certificate of it, and the log says why", async () => {
  const refused = (text: string): Promise<LogLine> =>
    nextLine(text, ({ msg, reason }) => msg === "connection refused" && String(reason).includes(text));
  const none = refused("it showed no certificate");
  expect(await answerTo({})).toHaveLength(0);
  expect(await none).toMatchObject({ level: "warn" });
  const other = stranger.issue({ cn: "boiler" });
  const wrong = refused("not signed by the client CA");
  const shownFiles = { cert: readFileSync(other.certificate), key: readFileSync(other.key) };
  expect(await answerTo(shownFiles)).toHaveLength(0);
  await wrong;
});

/** A connection over which a CONNECT of `clientId` was sent after `header`. */
function connectRaw(port: number, header: string, clientId: string): Socket {
  const socket = connectTcp({ host: "127.0.0.1", port });
  socket.on("error", () => undefined);
  onTestFinished(() => {
    socket.destroy();
  });
  socket.write(header);
  socket.write(connectPacket(clientId));
  return socket;
}

test("behind a proxy the log shows where the client is, and who comes without a header is reset", async () => {
  const line = nextLine(
    "that it came",
    ({ msg, clientId }) => msg === "client connected" && clientId === "behind",
  );
  const socket = connectRaw(ports.proxied, "PROXY TCP6 2001:db8::7 2001:db8::1 5000 1883\r\n", "behind");
  const connack = new Promise<Buffer>((resolve) => socket.once("data", resolve));
  expect(await connack).toEqual(Buffer.from([0x20, 2, 0, 0]));
  expect(await line).toMatchObject({ remoteAddress: "[2001:db8::7]:5000" });
  const direct = connectRaw(ports.proxied, "", "direct");
  const error = await new Promise<unknown>((resolve) => direct.once("error", resolve));
  expect(error).toMatchObject({ code: "ECONNRESET" });
});

test("P11: a listener that is full resets whoever comes, and others have room", async () => {
  const url = `mqtt://127.0.0.1:${ports.small}`;
  const first = await dial(url);
  const second = connectRaw(ports.small, "", "second");
  let answer = 0;
  second.on("data", (bytes) => {
    answer += bytes.length;
  });
  const error = await new Promise<unknown>((resolve) => second.once("error", resolve));
  expect(error).toMatchObject({ code: "ECONNRESET" });
  expect(answer).toBe(0);
  await dial(node.url);
  await first.endAsync();
  // The node hears of the end a moment later.
  const third = await eventually("there is room again", { withinMs: 5000 }, () => dial(url));
  expect(third.value.connected).toBe(true);
});

test("SIGHUP: a new certificate is shown from now on, a bad one is not taken, and clients stay connected", async () => {
  const client = await dial(`mqtts://localhost:${ports.tls}`);
  expect(await shown(ports.tls)).toBe("first");
  install("second");
  const again = nextLine("that it read the certificate again", ({ msg }) => msg === "certificate read again");
  process.kill(node.pid ?? 0, "SIGHUP");
  await again;
  expect(await shown(ports.tls)).toBe("second");
  expect(await shown(ports.wss)).toBe("second");

  writeFileSync(key, "no key at all\n");
  const kept = nextLine("that it kept the one before", ({ msg }) =>
    msg.startsWith("certificate not read again"),
  );
  process.kill(node.pid ?? 0, "SIGHUP");
  expect(await kept).toMatchObject({
    level: "error",
    reason: expect.stringContaining(`Cannot use the key ${key}: it holds no private key in PEM form.`),
  });
  expect(await shown(ports.tls)).toBe("second");

  await client.subscribeAsync("still/#", { qos: 1 });
  const received = gather(client, 1);
  await client.publishAsync("still/here", "yes", { qos: 1 });
  expect((await received)[0]?.payload).toBe("yes");
});
