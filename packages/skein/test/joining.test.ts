import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type NodeId, seededPrng } from "@skein/kernel";
import { Invitations, type JoinOutcome } from "@skein/mesh";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { loadConfig } from "../src/config/load-config.ts";
import { explainOutcome } from "../src/joining/explain-outcome.ts";
import { inviter } from "../src/joining/inviter.ts";
import { hostsInterface } from "../src/joining/local-interface.ts";
import { joinMesh } from "../src/joining/newcomer.ts";
import { decodeWelcomeDocument, encodeWelcomeDocument } from "../src/joining/welcome-document.ts";

const HOST = "00000000000000aa" as NodeId;
const KEY = "0f".repeat(32);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "skein-join-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const configWith = (flags: Record<string, unknown>) =>
  loadConfig({ flags: { "data-dir": folder, ...flags }, environment: {}, hostName: "pi9" });

test("a newcomer is told what belongs to the mesh, and nothing that belongs to the host alone", async () => {
  const { shared } = await configWith({
    mesh: "casa",
    name: "pi1",
    vip: "192.168.1.250%eth0",
    timing: "wired",
    "allow-anonymous": true,
    listen: [
      "mqtt://:1884",
      "mqtt://192.168.1.21:1885",
      "ws://0.0.0.0:9001",
      "mqtts://:8883?cert=/etc/own.pem",
      "unix:///run/mqtt.sock",
    ],
    http: "0.0.0.0:7880",
    "mesh-key": KEY,
  });
  expect(shared).toEqual({
    mesh: "casa",
    vip: "192.168.1.250%eth0",
    timing: "wired",
    "allow-anonymous": "true",
    listen: ["mqtt://:1884", "ws://0.0.0.0:9001"],
  });
});

test("decodeWelcomeDocument() gives back what was encoded, without settings that are no shared ones", () => {
  const settings = { mesh: "casa", listen: ["mqtt://:1884"] };
  const bytes = encodeWelcomeDocument({
    key: KEY,
    host: HOST,
    settings: { ...settings, "data-dir": "/etc" },
  });
  expect(decodeWelcomeDocument(bytes)).toEqual({ key: KEY, host: HOST, settings });
});

test("decodeWelcomeDocument() never throws, and takes nothing without a key and a host", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => decodeWelcomeDocument(bytes) === undefined),
  );
  const bad = [
    {},
    { key: KEY },
    { key: "short", host: HOST, settings: {} },
    { key: KEY, host: "x", settings: {} },
    null,
    7,
  ];
  for (const content of bad)
    expect(decodeWelcomeDocument(new Uint8Array(Buffer.from(JSON.stringify(content))))).toBeUndefined();
});

test("the floating address goes to the interface of its network, whatever that is called here", () => {
  const entry = (cidr: string) => ({
    address: cidr.split("/")[0] ?? "",
    netmask: "",
    family: "IPv4" as const,
    mac: "",
    internal: false,
    cidr,
  });
  const interfaces = { eth0: [entry("10.1.0.5/16")], wlan0: [entry("192.168.1.22/24")] };
  const vip = { vip: "192.168.1.250%enp3s0" };
  expect(hostsInterface(vip, interfaces)).toEqual({ vip: "192.168.1.250%wlan0" });
  expect(hostsInterface(vip, { eth0: [entry("10.1.0.5/16")] })).toEqual(vip);
  expect(hostsInterface({ timing: "lan" }, interfaces)).toEqual({ timing: "lan" });
});

test("what the mesh shares ranks below what the operator of this node says", async () => {
  writeFileSync(join(folder, "joined.yaml"), "mesh: casa\ntiming: wired\ndurability: disk\n");
  writeFileSync(join(folder, "skein.yaml"), "durability: replicated\n");
  expect(await configWith({})).toMatchObject({ mesh: "casa", timing: "wired", durability: "replicated" });
  expect(await configWith({ timing: "lan" })).toMatchObject({ mesh: "casa", timing: "lan" });
});

/** No host answers: whoever gets so far has passed the checks before. */
const nobody = {
  dial: (
    _: string,
    __: number,
    ___: unknown,
    done: (result: { kind: "unreachable"; reason: string }) => void,
  ) => done({ kind: "unreachable", reason: "nobody" }),
  mdns: undefined,
  say: () => {},
};

test.each([["mesh.key"], ["identity.json"]])(
  "a node that has a mesh already (%s) refuses to join one",
  async (file) => {
    writeFileSync(join(folder, file), "");
    await expect(joinMesh(await configWith({}), "code", false, nobody)).rejects.toMatchObject({
      code: "ERR_SKEIN_CONFIG",
      message: `This node belongs to a mesh already (${join(folder, file)} is there). Start it without --join, or join with another --data-dir`,
    });
  },
);

test("a given mesh key and a code exclude each other", async () => {
  await expect(joinMesh(await configWith({ "mesh-key": KEY }), "code", false, nobody)).rejects.toThrow(
    "This node belongs to a mesh already (a mesh key is given).",
  );
});

test("a newcomer that finds nobody leaves no trace that would keep it from trying again", async () => {
  const config = await configWith({ peer: ["127.0.0.1:1"] });
  for (let tries = 0; tries < 2; tries++)
    await expect(joinMesh(config, "code", false, nobody)).rejects.toMatchObject({
      code: "ERR_SKEIN_NOT_REACHABLE",
    });
});

const OUTCOMES: readonly [JoinOutcome, string][] = [
  [{ kind: "wrongCode" }, "The code is not the one that a:1 expects."],
  [
    { kind: "wait", seconds: 41 },
    "a:1 takes no code from this machine for another 41 s, after too many wrong ones.",
  ],
  [{ kind: "noInvitation" }, "a:1 has no invitation."],
  [
    { kind: "unreachable", reason: "connection refused" },
    "No node of a mesh answers on a:1: connection refused.",
  ],
  [{ kind: "refused", reason: "used" }, "This code has been used already; each lets one device in."],
  [{ kind: "refused", reason: "expired" }, "This code has expired; it is valid for 30 minutes."],
  [{ kind: "refused", reason: "revoked" }, "This code has been revoked."],
  [{ kind: "refused", reason: "void" }, "This code is void, because too many wrong ones were tried."],
  [{ kind: "refused", reason: "version" }, "The mesh speaks another version of the protocol than this node."],
  [{ kind: "refused", reason: "notReady" }, "The node that was asked has not found its own mesh yet."],
];

test.each(OUTCOMES)("R30: %j is said in a sentence, with the next command", (outcome, beginning) => {
  const { message } = explainOutcome({ outcome, address: "a:1" }, { peers: [], isMdnsEnabled: true });
  expect(message.startsWith(beginning)).toBe(true);
  expect(message).toMatch(/skein (invite|up --join CODE|version)/);
});

test.each([
  [true, "No mesh with an invitation was found on this network."],
  [false, "With --no-mdns this node cannot search for the mesh."],
])(
  "R30: nothing found (search %j) is said in a sentence, with the next command",
  (isMdnsEnabled, beginning) => {
    const { message } = explainOutcome(undefined, { peers: [], isMdnsEnabled });
    expect(message.startsWith(beginning)).toBe(true);
    expect(message).toContain("skein up --join CODE --peer HOST");
  },
);

test("at most eight invitations are open; the ninth is refused with what to do", {
  timeout: 60_000,
}, async () => {
  const prng = seededPrng(1);
  const clock = {
    monotonicMs: () => 0,
    wallMs: () => 0,
    after: () => ({ cancel() {} }),
    atTurnEnd() {},
  } as never;
  const invitations = new Invitations(HOST, clock, () => {});
  const node = {
    mesh: "casa",
    salt: "0123456789abcdef",
    invitations,
    isFormed: true,
    linkPort: 7883,
    nameOf: (id: string) => (id === HOST ? "pi1" : id),
  };
  const actions = inviter(() => node, {
    bytes: (count) => Uint8Array.from({ length: count }, () => prng.below(256)),
  });
  const made = await Promise.all(Array.from({ length: 8 }, () => actions.invite()));
  await expect(actions.invite()).rejects.toThrow(
    "Too many invitations are open. Use one of them, or close one",
  );
  expect(actions.invitations()).toHaveLength(8);
  expect(actions.invitations()[0]).toMatchObject({ state: "open", inviter: "pi1", expiresInSeconds: 1800 });
  actions.revoke(made[0]?.id ?? "");
  await expect(actions.invite()).resolves.toMatchObject({
    mesh: "casa",
    code: expect.stringMatching(/^(\w+-){4}\w+$/),
  });
  expect(() => actions.revoke("zz")).toThrow('There is no open invitation "zz". See: skein invite --list');
  await expect(
    inviter(() => ({ ...node, isFormed: false }), { bytes: () => new Uint8Array(10) }).invite(),
  ).rejects.toThrow("This node has not found or founded its mesh yet");
});

test("mesh key and settings are written before the node starts, the key for its owner only", async () => {
  const bytes = encodeWelcomeDocument({ key: KEY, host: HOST, settings: { mesh: "casa", timing: "wired" } });
  const config = await configWith({ peer: ["192.168.1.21:7883"] });
  await joinMesh(config, "code", false, { ...nobody, dial: welcoming(bytes) });
  expect(readFileSync(join(folder, "mesh.key"), "utf8")).toBe(`${KEY}\n`);
  expect(statSync(join(folder, "mesh.key")).mode & 0o777).toBe(0o600);
  expect(JSON.parse(readFileSync(join(folder, "peers.json"), "utf8"))).toEqual({
    version: 1,
    peers: [{ node: HOST, address: "192.168.1.21:7883" }],
  });
  expect(await configWith({})).toMatchObject({ mesh: "casa", timing: "wired" });
});

test("a code for another mesh than the one asked for is refused, and nothing is written", async () => {
  const bytes = encodeWelcomeDocument({ key: KEY, host: HOST, settings: { mesh: "casa" } });
  const config = await configWith({ mesh: "work", peer: ["192.168.1.21:7883"] });
  await expect(joinMesh(config, "code", true, { ...nobody, dial: welcoming(bytes) })).rejects.toThrow(
    'The code is for mesh "casa", not for "work".',
  );
  expect(() => statSync(join(folder, "mesh.key"))).toThrow("ENOENT");
});

/** A host that lets everybody in and says `document`. */
function welcoming(document: Uint8Array) {
  return (_: string, __: number, ___: unknown, done: (stream: never) => void) => {
    const text = (value: string): number[] => [value.length, ...Buffer.from(value)];
    const body = [2, ...text("casa"), ...text("pi1"), ...lengthOf(document), ...document];
    const frame = new Uint8Array([0, 0, body.length >> 8, body.length & 255, ...body]);
    done({
      remoteAddress: "192.168.1.21:7883",
      start: ({ received }: { received: (bytes: Uint8Array) => void }) => setImmediate(() => received(frame)),
      write: () => true,
      end: () => {},
      reset: () => {},
    } as never);
  };
}

/** LEB128, as the mesh writes lengths. */
function lengthOf({ length }: Uint8Array): number[] {
  return length < 128 ? [length] : [(length & 127) | 128, length >> 7];
}
