/**
 * `skein up --join CODE`: makes a member of a mesh of a data directory that belongs to none, before the node starts.
 *
 * Finds the mesh, proves the code, and writes down what it is given: the mesh key, the shared settings, and where its host is.
 * What can go wrong on this side is tried before the code is used up: the directory is opened first. What remains is an ordinary
 * start of a fresh node, which joins by itself.
 */

import { chmodSync, existsSync } from "node:fs";
import { join } from "node:path";
import { type DialAsGuest, type Disk, type MulticastDns, SkeinError } from "@skein/kernel";
import { type JoinResult, JoinSearch } from "@skein/mesh";
import { openDataDirectory, systemClock } from "@skein/platform";
import { stringify } from "yaml";
import type { NodeConfig } from "../config/load-config.ts";
import { SHARED_SETTINGS_FILE, type SharedSettings } from "../config/shared-settings.ts";
import { explainOutcome } from "./explain-outcome.ts";
import { hostsInterface } from "./local-interface.ts";
import { stretchNow } from "./stretch.ts";
import { decodeWelcomeDocument, type WelcomeDocument } from "./welcome-document.ts";

/** Something is said about what takes longer. */
const QUIET_MAX_MS = 1000;
const KEY_FILE = "mesh.key";

export interface NewcomerPorts {
  readonly dial: DialAsGuest;
  readonly mdns: MulticastDns | undefined;
  /** One line for the operator. */
  readonly say: (line: string) => void;
}

/**
 * Joins with `code` (in its one spelling). Returns what the mesh is called and who let it in.
 *
 * @throws {SkeinError} ERR_SKEIN_CONFIG if the directory belongs to a mesh already, ERR_SKEIN_NOT_REACHABLE if no mesh was found,
 *   ERR_SKEIN_REFUSED if the code is of no use
 */
export async function joinMesh(
  config: NodeConfig,
  code: string,
  isMeshGiven: boolean,
  ports: NewcomerPorts,
): Promise<{ readonly mesh: string; readonly host: string }> {
  refuseSecondMesh(config);
  const data = openDataDirectory(config.dataDirectory);
  try {
    const result = await search(config, code, ports);
    if (result?.outcome.kind !== "welcome") throw explainOutcome(result, config);
    const { mesh, host, document } = result.outcome.welcome;
    const given = decodeWelcomeDocument(document);
    if (given === undefined) {
      throw new SkeinError(
        "ERR_SKEIN_REFUSED",
        `${host} let this node in, but what it said is not understood: its version of Skein is another one. Compare: skein version`,
      );
    }
    if (isMeshGiven && config.mesh !== mesh) {
      throw new SkeinError(
        "ERR_SKEIN_CONFIG",
        `The code is for mesh "${mesh}", not for "${config.mesh}". Leave out --mesh, and ask for a new code there: skein invite`,
      );
    }
    write(data, given, result.address);
    chmodSync(join(config.dataDirectory, KEY_FILE), 0o600);
    return { mesh, host };
  } finally {
    data.close();
  }
}

function refuseSecondMesh({ meshKey, dataDirectory }: NodeConfig): void {
  const mark = [KEY_FILE, "identity.json"]
    .map((file) => join(dataDirectory, file))
    .find((path) => existsSync(path));
  const reason = meshKey === undefined ? mark && `${mark} is there` : "a mesh key is given";
  if (reason === undefined) return;
  throw new SkeinError(
    "ERR_SKEIN_CONFIG",
    `This node belongs to a mesh already (${reason}). Start it without --join, or join with another --data-dir`,
  );
}

function search(
  config: NodeConfig,
  code: string,
  { dial, mdns, say }: NewcomerPorts,
): Promise<JoinResult | undefined> {
  return new Promise((resolve) => {
    const clock = systemClock();
    const slow = clock.after(QUIET_MAX_MS, () => {
      if (mdns !== undefined) say("Looking for a mesh with an invitation on this network ...");
    });
    const ports = {
      clock,
      dial,
      mdns,
      stretch: (salt: string) => stretchNow(code, salt),
      trying: (address: string) => say(`Asking ${address} ...`),
    };
    new JoinSearch({ name: config.name, peers: config.peers }, ports, (result) => {
      slow.cancel();
      resolve(result);
    }).start();
  });
}

/** The key comes last: without it the directory still belongs to no mesh. */
function write(disk: Disk, { key, settings, host }: WelcomeDocument, address: string): void {
  const replace = (path: string, text: string): void =>
    disk.replaceNow(path, new Uint8Array(Buffer.from(text)));
  replace(SHARED_SETTINGS_FILE, sharedSettingsText(hostsInterface(settings)));
  replace("peers.json", `${JSON.stringify({ version: 1, peers: [{ node: host, address }] })}\n`);
  replace(KEY_FILE, `${key}\n`);
}

function sharedSettingsText(settings: SharedSettings): string {
  return `# Received from the mesh when this node joined. To differ from it, use skein.yaml or flags: they win.\n${stringify(settings)}`;
}
