/**
 * P10 as a watcher of the whole world sees it: nodes of other meshes on the same network, found by mDNS and given as peers, are never
 * members here, nor anybody from here there; no message and no retained value goes from the one to the other. And each of
 * them has its own mesh to itself, as if nobody else were there.
 *
 * Looks once a second, and has each of them keep a retained message, so that there is something to be seen.
 *
 * Source: architecture.md sections 2 (P10) and 7; reference design, 5.3 (foreign mesh).
 */

import { CheckFailure } from "../observations.ts";
import { retainedSet } from "../world/retained-set.ts";
import type { SimNode } from "../world/sim-node.ts";
import type { World } from "../world/world.ts";

const NAME = "foreign mesh";
const LOOK_EVERY_MS = 1000;
/** A node that nobody joins has founded its mesh, or has its old one back, and lets clients in. */
const ALONE_WITHIN_MS = 25_000;
/** Topics of what only other meshes have begin with this. */
const THEIRS = "theirs/";

export class ForeignWatch {
  readonly #world: World;
  /** Ids that nodes of other meshes have, or had before their disk was wiped. */
  readonly #foreignIds = new Set<string>();
  /** Since when each runs without a break. */
  readonly #running = new Map<SimNode, { readonly starts: number; readonly since: number }>();
  #writes = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** @throws {CheckFailure} now or at a later look */
  begin(): void {
    const { strangers, nodes, events } = this.#world;
    for (const { id } of strangers) if (id !== "") this.#foreignIds.add(id);
    for (const node of nodes) this.#lookAt(node);
    for (const stranger of strangers) {
      this.#lookAtStranger(stranger);
      this.#write(stranger);
    }
    events.after(LOOK_EVERY_MS, () => this.begin());
  }

  #lookAt({ id, assembly, status }: SimNode): void {
    if (assembly === undefined) return;
    const known = [...membersOf(assembly), ...(status?.voters ?? []), ...(status?.learners ?? [])];
    const stranger = known.find((member) => this.#foreignIds.has(member));
    if (stranger !== undefined) throw new CheckFailure(NAME, `${id} lists ${stranger} of another mesh`);
    const topic = [...retainedSet(assembly).keys()].find((each) => each.startsWith(THEIRS));
    if (topic !== undefined) throw new CheckFailure(NAME, `${id} serves ${topic} of another mesh`);
  }

  #lookAtStranger(stranger: SimNode): void {
    const { id, assembly, starts, status } = stranger;
    const { now } = this.#world.events;
    if (assembly === undefined) {
      this.#running.delete(stranger);
      return;
    }
    const run = this.#running.get(stranger);
    const since = run?.starts === starts ? run.since : now;
    this.#running.set(stranger, { starts, since });
    const other = membersOf(assembly).find((member) => member !== id);
    if (other !== undefined) throw new CheckFailure(NAME, `${id} has learnt of ${other}`);
    const { received, forwarded } = assembly.mesh.counters;
    if (received + forwarded > 0) throw new CheckFailure(NAME, `${id} has got or sent messages`);
    const topic = [...retainedSet(assembly).keys()].find((each) => !each.startsWith(THEIRS));
    if (topic !== undefined) throw new CheckFailure(NAME, `${id} has learnt ${topic}`);
    const isWell = assembly.isServing && status?.hasQuorum === true;
    if (!isWell && now - since > ALONE_WITHIN_MS)
      throw new CheckFailure(
        NAME,
        `${id}, alone in its mesh, does not serve ${ALONE_WITHIN_MS} ms after its start`,
      );
  }

  #write({ index, process, assembly }: SimNode): void {
    const message = {
      topic: `${THEIRS}${index}`,
      payload: Uint8Array.of(this.#writes++ % 128),
      qos: 1,
      retain: true,
      properties: undefined,
    } as const;
    process?.turn(() => {
      if (assembly?.isServing === true) assembly.broker.publish(message, undefined);
    });
  }
}

function membersOf({ mesh }: NonNullable<SimNode["assembly"]>): readonly string[] {
  return mesh.members.map(({ id }) => id);
}
