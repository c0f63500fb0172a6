import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SkeinError } from "@skein/kernel";
import { expect, test } from "vitest";
import { type ConfigSources, loadConfig, type NodeConfig } from "../src/config/load-config.ts";
import { scratchDirectory } from "./support/scratch-directory.ts";

const KEY = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

function load(
  flags: ConfigSources["flags"] = {},
  environment: Record<string, string> = {},
): Promise<NodeConfig> {
  return loadConfig({ flags, environment, hostName: "pi1" });
}

async function failure(
  flags: ConfigSources["flags"],
  environment: Record<string, string> = {},
): Promise<string> {
  try {
    await load(flags, environment);
  } catch (error) {
    expect(error).toBeInstanceOf(SkeinError);
    expect((error as SkeinError).code).toBe("ERR_SKEIN_CONFIG");
    return (error as SkeinError).message;
  }
  throw new Error("the settings were accepted");
}

function fileWith(content: string): string {
  const path = join(scratchDirectory(), "settings.yaml");
  writeFileSync(path, content);
  return path;
}

test("without any setting a node serves this machine only, under the host's name", async () => {
  const config = await load();
  expect(config.name).toBe("pi1");
  expect(config.mesh).toBe("home");
  expect(config.listeners).toMatchObject([{ protocol: "mqtt", host: "127.0.0.1", port: 1883 }]);
  expect(config.link).toEqual({ host: "0.0.0.0", port: 7883 });
  expect(config.http).toEqual({ host: "127.0.0.1", port: 7880 });
  expect(config.isMdnsEnabled).toBe(true);
  expect(config.peers).toEqual([]);
  expect(config.timing).toBe("lan");
  expect(config.durability).toBe("replicated");
  expect(config.floatingAddress).toBeUndefined();
  expect(config.isBalanced).toBe(false);
  expect(config.isRedirecting).toBe(false);
});

test("--allow-anonymous opens the default listener to the network", async () => {
  expect((await load({ "allow-anonymous": true })).listeners).toMatchObject([
    { protocol: "mqtt", host: "0.0.0.0", port: 1883 },
  ]);
});

test("flags win over the environment, the environment over the file, the file over defaults", async () => {
  const config = fileWith("name: from-file\nmesh: from-file\ntiming: wired\nlog-level: warn\n");
  const loaded = await load(
    { config, name: "from-flag" },
    { SKEIN_NAME: "from-environment", SKEIN_MESH: "from-environment", SKEIN_LOG_LEVEL: "debug" },
  );
  expect(loaded.name).toBe("from-flag");
  expect(loaded.mesh).toBe("from-environment");
  expect(loaded.logLevel).toBe("debug");
  expect(loaded.timing).toBe("wired");
  expect(loaded.http.port).toBe(7880);
  expect(loaded.configFile).toBe(config);
});

test("every setting can be written in the file", async () => {
  const config = fileWith(`
name: pi2
data-dir: /tmp/pi2
listen: [mqtt://:1884, "ws://127.0.0.1"]
allow-anonymous: true
tls-cert: /etc/skein/cert.pem
tls-key: /etc/skein/key.pem
tls-client-ca: /etc/skein/ca.pem
mesh: plant
mesh-key: "${KEY}"
link: 192.168.1.22:7000
peer: 192.168.1.21:7883
no-mdns: true
vip: 192.168.1.250%eth0
balance: proxy
redirect: true
http: "[::1]:7000"
http-actions: any
sys-interval: 5
log-level: error
timing: wired
durability: disk
`);
  expect(await load({ config })).toMatchObject({
    name: "pi2",
    dataDirectory: "/tmp/pi2",
    listeners: [
      { protocol: "mqtt", host: "0.0.0.0", port: 1884 },
      { protocol: "ws", host: "127.0.0.1", port: 8083 },
    ],
    mesh: "plant",
    meshKey: KEY,
    link: { host: "192.168.1.22", port: 7000 },
    peers: ["192.168.1.21:7883"],
    isMdnsEnabled: false,
    floatingAddress: { address: "192.168.1.250", networkInterface: "eth0" },
    isBalanced: true,
    isRedirecting: true,
    http: { host: "::1", port: 7000 },
    httpActions: "any",
    systemIntervalSeconds: 5,
    logLevel: "error",
    timing: "wired",
    durability: "disk",
    shared: {
      mesh: "plant",
      vip: "192.168.1.250%eth0",
      balance: "proxy",
      redirect: "true",
      timing: "wired",
      durability: "disk",
      "allow-anonymous": "true",
      listen: ["mqtt://:1884"],
    },
    configFile: config,
  });
});

test("every setting can be given in the environment, lists separated by commas", async () => {
  const config = await load(
    {},
    {
      SKEIN_LISTEN: "mqtt://:1884, ws://[::1]:9002",
      SKEIN_ALLOW_ANONYMOUS: "true",
      SKEIN_PEER: "pi1:7883,[fd00::2]:7883",
      SKEIN_NO_MDNS: "1",
      SKEIN_MESH_KEY: `@${"/run/secrets/mesh"}`,
      SKEIN_VIP: "",
      PATH: "/bin",
    },
  );
  expect(config.listeners).toMatchObject([
    { protocol: "mqtt", host: "0.0.0.0", port: 1884 },
    { protocol: "ws", host: "::1", port: 9002 },
  ]);
  expect(config.peers).toEqual(["pi1:7883", "[fd00::2]:7883"]);
  expect(config.isMdnsEnabled).toBe(false);
  expect(config.meshKey).toBe("@/run/secrets/mesh");
  expect(config.floatingAddress).toBeUndefined();
});

test.each([
  ["pi1", "pi1:7883"],
  ["pi1.local", "pi1.local:7883"],
  ["pi1:7000", "pi1:7000"],
  ["192.168.1.21", "192.168.1.21:7883"],
  ["[fd00::2]", "[fd00::2]:7883"],
  ["[fd00::2]:7000", "[fd00::2]:7000"],
  ["[fe80::2%eth0]", "[fe80::2%eth0]:7883"],
])("the peer %s is dialled at %s, from flags, environment and file alike", async (given, peer) => {
  expect((await load({ peer: [given] })).peers).toEqual([peer]);
  expect((await load({}, { SKEIN_PEER: given })).peers).toEqual([peer]);
  expect((await load({ config: fileWith(`peer: "${given}"\n`) })).peers).toEqual([peer]);
});

test("a misspelled setting in the file is refused with the nearest name", async () => {
  const config = fileWith("lisen: mqtt://:1884\n");
  expect(await failure({ config })).toBe(`Unknown setting lisen in ${config}: did you mean listen?`);
});

test("a misspelled environment variable is refused with the nearest name", async () => {
  expect(await failure({}, { SKEIN_MESHKEY: KEY })).toBe(
    "Unknown environment variable SKEIN_MESHKEY: did you mean SKEIN_MESH_KEY?",
  );
  expect(await failure({}, { SKEIN_COMPLETELY_DIFFERENT: "1" })).toBe(
    "Unknown environment variable SKEIN_COMPLETELY_DIFFERENT: see skein up --help",
  );
});

test("a setting called like a built-in property is unknown, not a crash", async () => {
  expect(await failure({ config: fileWith("constructor: 1\n") })).toMatch(/^Unknown setting constructor in /);
});

test.each([
  [
    { listen: ["tcp://x"] },
    'Cannot use --listen "tcp://x": tcp:// is unknown, use mqtt://, mqtts://, ws://, wss:// or unix://.',
  ],
  [
    { listen: ["mqtt://:1884", "1883"] },
    'Cannot use --listen "1883": it is not a URL such as mqtt://127.0.0.1:1883, mqtts://:8883 or unix:///run/mqtt.sock.',
  ],
  [
    { listen: ["mqtt://:70000"] },
    'Cannot use --listen "mqtt://:70000": "70000" is not a port between 0 and 65535.',
  ],
  [
    { peer: ["mqtt://pi1"] },
    'Cannot use --peer "mqtt://pi1": it is not HOST or HOST:PORT, such as pi1.local, 192.168.1.20:7883 or [fd00::1]:7883.',
  ],
  [{ peer: [":7883"] }, 'Cannot use --peer ":7883": the name or address of the other node is missing.'],
  [{ peer: ["pi1", ""] }, 'Cannot use --peer "": the name or address of the other node is missing.'],
  [{ peer: ["pi1:"] }, 'Cannot use --peer "pi1:": "" is not a port between 0 and 65535.'],
  [{ peer: ["pi1:0"] }, 'Cannot use --peer "pi1:0": no node is reached at port 0.'],
  [
    { peer: ["fd00::2"] },
    'Cannot use --peer "fd00::2": put an IPv6 address in brackets: [fd00::2], or [fd00::2]:7883.',
  ],
  [{ peer: ["[pi1]"] }, 'Cannot use --peer "[pi1]": "pi1" is not an IPv6 address.'],
  [{ peer: ["pi 1"] }, 'Cannot use --peer "pi 1": "pi 1" is neither a host name nor an address.'],
  [
    { vip: "192.168.1.250" },
    'Cannot use --vip "192.168.1.250": the network interface is missing, write it like 192.168.1.250%eth0 (see: ip addr).',
  ],
  [
    { vip: "192.168.1.300%eth0" },
    'Cannot use --vip "192.168.1.300%eth0": "192.168.1.300" is not an IP address.',
  ],
  [
    { "sys-interval": "5x" },
    'Cannot use --sys-interval "5x": it must be a time such as 90s, 12h or 14d, from 0 to 3600 seconds.',
  ],
  [{ timing: "slow" }, 'Cannot use --timing "slow": it must be lan or wired.'],
  [{ durability: "ram" }, 'Cannot use --durability "ram": it must be replicated or disk.'],
  [{ "log-level": "loud" }, 'Cannot use --log-level "loud": it must be error, warn, info or debug.'],
  [{ name: "" }, 'Cannot use --name "": it must have 1 to 63 printable characters.'],
])("a wrong value is refused in one sentence that names it: %j", async (flags, message) => {
  expect(await failure(flags)).toBe(message);
});

test("a wrong mesh key is refused without being repeated", async () => {
  const message = await failure({ "mesh-key": "secret-but-short" });
  expect(message).toBe(
    "Cannot use --mesh-key: it must be 64 hexadecimal digits, or @FILE with a file that holds them.",
  );
});

test("a listener that other machines can reach is refused without --allow-anonymous", async () => {
  expect(await failure({ listen: ["mqtt://0.0.0.0:1883"] })).toBe(
    'Cannot use --listen "mqtt://0.0.0.0:1883": it would let anybody on the network in without a password; ' +
      "add --allow-anonymous if you want that, or listen on 127.0.0.1.",
  );
  expect((await load({ listen: ["mqtt://localhost:1883", "mqtt://[::1]:1884"] })).listeners).toHaveLength(2);
});

test("a settings file that is missing, no YAML or no mapping is refused with its name", async () => {
  expect(await failure({ config: "/nonexistent/skein.yaml" })).toMatch(
    /^Cannot read settings from \/nonexistent\/skein\.yaml: ENOENT/,
  );
  expect(await failure({ config: fileWith("name: [") })).toMatch(
    /^Cannot read settings from \S+: .+ at line 1/,
  );
  expect(await failure({ config: fileWith("- name\n") })).toMatch(
    /: write one "name: value" on each line\.$/,
  );
  expect((await load({ config: fileWith("# nothing\n") })).name).toBe("pi1");
});

test("skein.yaml in the data directory is read without being named", async () => {
  const directory = scratchDirectory();
  writeFileSync(join(directory, "skein.yaml"), "mesh: plant\n");
  expect((await load({ "data-dir": directory })).mesh).toBe("plant");
});

test("limits of the broker: only what was set, in the broker's names and units", async () => {
  expect((await load()).limits).toEqual({});
  const flags = { "max-clients": "100", "max-packet": "256k", "max-session-expiry": "2d" };
  expect(
    (await load(flags, { SKEIN_MAX_CONNECTS_PER_SECOND: "0", SKEIN_RESPONSE_TOPICS: "answers" })).limits,
  ).toEqual({
    connectionsMax: 100,
    packetBytesMax: 262_144,
    sessionExpiryMaxSeconds: 172_800,
    connectsPerSecondMax: 0,
    responseTopicPrefix: "answers",
  });
  expect(await failure({ "max-packet": "tiny" })).toBe(
    'Cannot use --max-packet "tiny": it must be a size such as 256k or 4M, from 1024 to 268435460 bytes.',
  );
  expect(await failure({ "response-topics": "a/#" })).toContain("without + and #");
});

test("with users a listener may be open to the network, and lets nobody in without a password unless told to", async () => {
  const users = { "scram-users": "users" };
  expect((await load(users)).listeners).toMatchObject([{ host: "0.0.0.0", allowAnonymous: false }]);
  expect((await load({ ...users, listen: ["mqtt://127.0.0.1:1883"] })).listeners).toMatchObject([
    { allowAnonymous: false },
  ]);
  expect(
    (await load({ ...users, listen: ["mqtt://127.0.0.1:1883?anonymous=true"] })).listeners,
  ).toMatchObject([{ allowAnonymous: true }]);
  expect((await load({ ...users, "allow-anonymous": true })).listeners).toMatchObject([
    { allowAnonymous: true },
  ]);
  expect((await load(users)).scramUsers).toBe("users");
});
