import { SkeinError } from "@skein/kernel";
import { expect, test } from "vitest";
import { Problem } from "../src/config/addresses.ts";
import { parseListenUrl } from "../src/config/listen-url.ts";
import { type ListenerConfig, listenerName } from "../src/config/listener-config.ts";
import { loadConfig } from "../src/config/load-config.ts";

function problem(url: string): string {
  const result = parseListenUrl(url);
  if (result instanceof Problem) return result.text;
  throw new Error(`${url} was accepted`);
}

async function resolve(url: string, flags: Record<string, unknown> = {}): Promise<ListenerConfig> {
  const { listeners } = await loadConfig({
    flags: { listen: [url], ...flags },
    environment: {},
    hostName: "pi1",
  });
  return listeners[0]!;
}

async function refusal(url: string, flags: Record<string, unknown> = {}): Promise<string> {
  try {
    await resolve(url, flags);
  } catch (error) {
    expect(error).toBeInstanceOf(SkeinError);
    return (error as Error).message;
  }
  throw new Error(`${url} was accepted`);
}

test.each([
  ["mqtt://", "mqtt", undefined, 1883],
  ["mqtts://", "mqtts", undefined, 8883],
  ["ws://", "ws", undefined, 8083],
  ["wss://", "wss", undefined, 8084],
  ["MQTT://0.0.0.0:1884", "mqtt", "0.0.0.0", 1884],
  ["mqtts://[fd00::2]:1", "mqtts", "fd00::2", 1],
  ["ws://pi1.local/mqtt", "ws", "pi1.local", 8083],
])("%s listens with %s on host %s and port %i", (url, protocol, host, port) => {
  expect(parseListenUrl(url)).toEqual({ protocol, host, port, path: undefined, options: {} });
});

test("unix:// takes the path of a socket", () => {
  expect(parseListenUrl("unix:///run/skein/a%20b.sock?mode=600")).toEqual({
    protocol: "unix",
    host: undefined,
    port: 0,
    path: "/run/skein/a b.sock",
    options: { mode: 0o600 },
  });
});

test("what differs between listeners follows the question mark", () => {
  const url =
    "wss://:443/mqtt?anonymous=no&proxy&max-clients=20&ack=local&cert=/a%2Cb.pem&key=k&client-ca=ca&identity=san";
  expect(parseListenUrl(url)).toMatchObject({
    port: 443,
    options: {
      anonymous: false,
      proxy: true,
      maxClients: 20,
      ack: "local",
      cert: "/a,b.pem",
      key: "k",
      clientCa: "ca",
      identity: "san",
    },
  });
});

test.each([
  ["mqtt://:1883?max-client=5", '"max-client" is no option of a listener; did you mean max-clients'],
  [
    "mqtt://:1883?color=red",
    '"color" is no option of a listener; there are anonymous, proxy, max-clients, ack',
  ],
  ["mqtt://:1883?constructor=1", /^"constructor" is no option of a listener/],
  ["mqtt://:1883?", /^"" is no option of a listener/],
  ["mqtt://:1883?cert=a.pem", "cert is for mqtts:// and wss:// only"],
  ["mqtt://:1883?mode=600", "mode is for unix:// only"],
  ["mqtt://:1883?proxy&proxy=off", "proxy is given twice"],
  ["mqtt://:1883?proxy=maybe", "proxy must be true or false"],
  ["mqtt://:1883?max-clients=0", "max-clients must be a number from 1 to 1000000"],
  ["mqtt://:1883?max-clients=1e3", "max-clients must be a number from 1 to 1000000"],
  ["mqtts://?cert=", "cert must be the name of a file"],
  ["mqtts://?cert=a%2", '"a%2" has a percent sign that no two digits follow; write %25 for it'],
  ["mqtts://?identity=dn", "identity must be cn or san"],
  ["unix:///a?mode=rw", "mode must be permissions such as 660 (see: chmod)"],
  [
    "unix://run/a.sock",
    "write the whole path of the socket, with three slashes: unix:///run/skein/mqtt.sock",
  ],
  [`unix:///${"a".repeat(107)}`, "the path of a Unix socket has at most 107 bytes"],
  ["tcp://:1883", "tcp:// is unknown, use mqtt://, mqtts://, ws://, wss:// or unix://"],
])("%s is refused: %s", (url, text) => {
  expect(problem(url)).toEqual(text instanceof RegExp ? expect.stringMatching(text) : text);
});

test("a listener without options is open to this machine, with --allow-anonymous to all", async () => {
  expect(await resolve("mqtt://:1884")).toEqual({
    protocol: "mqtt",
    host: "127.0.0.1",
    port: 1884,
    unix: undefined,
    allowAnonymous: true,
    clientsMax: undefined,
    acknowledges: "mesh",
    isProxied: false,
    tls: undefined,
  });
  expect((await resolve("mqtt://:1884", { "allow-anonymous": true })).host).toBe("0.0.0.0");
  expect((await resolve("mqtt://:1884?anonymous")).host).toBe("0.0.0.0");
});

test("several listeners differ in who may come in and in how many", async () => {
  const listen = ["mqtt://127.0.0.1", "mqtt://0.0.0.0:1884?anonymous&max-clients=9", "unix:///run/mqtt.sock"];
  const { listeners } = await loadConfig({ flags: { listen }, environment: {}, hostName: "pi1" });
  expect(listeners).toMatchObject([
    { host: "127.0.0.1", clientsMax: undefined },
    { host: "0.0.0.0", clientsMax: 9 },
    { unix: { path: "/run/mqtt.sock", mode: 0o660 } },
  ]);
  expect(listeners.map((listener) => listenerName(listener, listener.port))).toEqual([
    "mqtt://127.0.0.1:1883",
    "mqtt://0.0.0.0:1884",
    "unix:///run/mqtt.sock",
  ]);
});

test("an encrypted listener takes the node's files, or its own", async () => {
  const node = { "tls-cert": "n.pem", "tls-key": "n.key" };
  expect((await resolve("mqtts://", node)).tls).toEqual({
    certificate: "n.pem",
    key: "n.key",
    clientCa: undefined,
    identity: "cn",
  });
  expect((await resolve("mqtts://?cert=o.pem&key=o.key", node)).tls).toMatchObject({
    certificate: "o.pem",
    key: "o.key",
  });
  // The node's key does not belong to a certificate of the listener's own.
  expect((await resolve("mqtts://?cert=both.pem", node)).tls).toMatchObject({
    certificate: "both.pem",
    key: "both.pem",
  });
  expect((await resolve("mqtts://", { "tls-cert": "both.pem" })).tls).toMatchObject({ key: "both.pem" });
  expect((await resolve("mqtt://", node)).tls).toBeUndefined();
});

test("with a client CA a listener is open to other machines, and nobody is anonymous there", async () => {
  const node = { "tls-cert": "n.pem", "tls-client-ca": "ca.pem", "allow-anonymous": true };
  expect(await resolve("mqtts://", { ...node, "allow-anonymous": false })).toMatchObject({
    host: "0.0.0.0",
    allowAnonymous: false,
    tls: { clientCa: "ca.pem", identity: "cn" },
  });
  expect(await resolve("wss://?identity=san&client-ca=own.pem", node)).toMatchObject({
    allowAnonymous: false,
    tls: { clientCa: "own.pem", identity: "san" },
  });
});

test("without a certificate an encrypted listener is refused with the options to add", async () => {
  expect(await refusal("mqtts://:8883")).toBe(
    'Cannot use --listen "mqtts://:8883": it has no certificate; add --tls-cert FILE and --tls-key FILE, ' +
      "or to this listener ?cert=FILE&key=FILE.",
  );
});

test("what could let nobody or anybody in is refused with the way out", async () => {
  expect(await refusal("mqtt://:1883?anonymous=false")).toBe(
    'Cannot use --listen "mqtt://:1883": nobody could come in, for there are no users; add --scram-users FILE or leave anonymous=false out.',
  );
  expect(await refusal("mqtts://0.0.0.0", { "tls-cert": "n.pem" })).toBe(
    'Cannot use --listen "mqtts://0.0.0.0:8883": it would let anybody on the network in without a password; ' +
      "add --allow-anonymous if you want that, or listen on 127.0.0.1.",
  );
  expect(await refusal("mqtts://?identity=san", { "tls-cert": "n.pem" })).toBe(
    'Cannot use --listen "mqtts://:8883": identity needs certificates of clients; add client-ca=FILE.',
  );
});
