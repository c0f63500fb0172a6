/**
 * Nodes of the newest version and of the one before are one mesh, and know of each other which one that is: it decides what may be
 * said and proposed, and nobody has to go on with a log that says what it does not know. That no promise suffers is for the other checkers.
 *
 * Looks once a second.
 *
 * Source: docs/architecture.md, "Versions".
 */

import { SPOKEN_VERSIONS } from "@skein/mesh";
import { CheckFailure } from "../observations.ts";
import { spokenOn } from "../world/settings.ts";
import type { SimNode } from "../world/sim-node.ts";
import type { World } from "../world/world.ts";
import { NEVER } from "./scenarios.ts";

const NAME = "version skew";
const LOOK_EVERY_MS = 1000;
/** HELLO has said it before there is a link; what others say of a node may be on its way for so long. */
const KNOWN_MS = 3000;
/** When all have the newest program and a quorum for so long, the log goes on in that version (membership/upgrade.ts): ten seconds and an election. */
const RAISED_MS = 30_000;

export class SkewWatch {
  readonly #world: World;
  /** By pair: with which starts of the two the link was seen first, and when. */
  readonly #linked = new Map<string, { readonly starts: string; readonly since: number }>();
  /** Since when all have the newest program. */
  #updatedSince: number | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  /** @throws {CheckFailure} now or at a later look */
  begin(): void {
    const { nodes, events } = this.#world;
    for (const node of nodes) {
      const { unknownFrames = 0 } = node.assembly?.mesh.counters ?? {};
      if (unknownFrames > 0) throw new CheckFailure(NAME, `${node.id} was sent frames that it does not know`);
      for (const other of nodes) if (other !== node) this.#lookAt(node, other);
    }
    if (this.#world.options.sizes.settleMinutes !== NEVER) this.#lookAtLogs();
    events.after(LOOK_EVERY_MS, () => this.begin());
  }

  #lookAtLogs(): void {
    const { nodes, events } = this.#world;
    const areUpdated = nodes.every(({ isOutdated, status }) => !isOutdated && status?.hasQuorum === true);
    this.#updatedSince = areUpdated ? (this.#updatedSince ?? events.now) : undefined;
    if (this.#updatedSince === undefined || events.now - this.#updatedSince < RAISED_MS) return;
    for (const { id, status } of nodes) {
      if (status?.logVersion === SPOKEN_VERSIONS.newest) continue;
      throw new CheckFailure(
        NAME,
        `all have the newest program, and ${id} goes on in version ${status?.logVersion}`,
      );
    }
  }

  /** What `node` says of `other`. */
  #lookAt(node: SimNode, other: SimNode): void {
    const { now } = this.#world.events;
    const pair = `${node.index} ${other.index}`;
    const starts = `${node.starts} ${other.starts}`;
    if (!this.#world.areLinked(node.id, other.id)) {
      this.#linked.delete(pair);
      return;
    }
    const seen = this.#linked.get(pair);
    if (seen?.starts !== starts) {
      this.#linked.set(pair, { starts, since: now });
      return;
    }
    const told = node.assembly?.mesh.members.find(({ id }) => id === other.id)?.protocolVersion;
    const { newest } = spokenOn(other);
    if (told !== newest && now - seen.since > KNOWN_MS)
      throw new CheckFailure(
        NAME,
        `${node.id} takes ${other.id}, which speaks version ${newest}, for one of ${told}`,
      );
  }
}
