/** Carries out the acts of the timetable on the containers, and notes who was hidden from whom, when. */

import { setTimeout as delay } from "node:timers/promises";
import type { Cabling, Room } from "../../test/containers/support/cabling.ts";
import type { ContainerMesh } from "../../test/containers/support/mesh.ts";
import type { NodeContainer } from "../../test/containers/support/node-container.ts";
import type { FaultWindow } from "./judge.ts";
import { type Act, nameOf } from "./timetable.ts";

/** A fault is over for the clients only when silence was noticed and links are back: dead after 6 s, and some. */
const AFTERMATH_MS = 12_000;
/** Between two nodes of a rolling restart. */
const PAUSE_MS = 500;
const SKEIN = ["node", "/opt/skein/packages/skein/bin/skein.cjs"] as const;

/** What an act did. */
export interface Deed {
  readonly act: Act;
  readonly name: string;
  /** When it began and when it was undone, ms since 1970. */
  readonly fromMs: number;
  readonly undoneMs: number;
  /**
   * When the holder of the address was struck, ms since 1970; for a rolling restart each time, for a split also when it heals: all
   * but one of its holders give the address up. Empty: it was not.
   */
  readonly holderStruckMs: readonly number[];
  readonly windows: readonly FaultWindow[];
}

/** The part of a deed that depends on its kind. */
type Done = Pick<Deed, "holderStruckMs" | "windows">;

export class Faults {
  readonly #mesh: ContainerMesh;
  readonly #cabling: Cabling;
  readonly #rooms: readonly Room[];
  #victim = 0;

  constructor(mesh: ContainerMesh, cabling: Cabling, rooms: readonly Room[]) {
    this.#mesh = mesh;
    this.#cabling = cabling;
    this.#rooms = rooms;
  }

  /** Does `act`; it ends at `untilMs` (ms since 1970). */
  async carryOut(act: Act, untilMs: number): Promise<Deed> {
    const fromMs = Date.now();
    const done = await this.#carryOut(act, untilMs);
    return { ...done, act, name: nameOf(act), fromMs, undoneMs: Date.now() };
  }

  #carryOut(act: Act, untilMs: number): Promise<Done> {
    const name = nameOf(act);
    switch (act.kind) {
      case "split":
        return this.#split(act, name, untilMs);
      case "rolling":
        return this.#rolling(name);
      case "failover":
        return this.#failover();
      default:
        return this.#strike(act, name, untilMs);
    }
  }

  async #strike(act: Act & { readonly who: string }, name: string, untilMs: number): Promise<Done> {
    const node = act.who === "holder" ? this.#mesh.holder() : this.#follower();
    const fromMs = Date.now();
    const [begin, end] = {
      kill: [() => node.kill(), () => node.start()],
      freeze: [() => node.pause(), () => node.unpause()],
      unplug: [() => node.unplug(), () => node.plugIn()],
    }[act.kind as "kill" | "freeze" | "unplug"] as [() => Promise<void>, () => Promise<void>];
    await begin();
    await until(untilMs);
    await end();
    const window = {
      name,
      fromMs,
      untilMs: Date.now() + AFTERMATH_MS,
      hidden: [node.name],
      parts: undefined,
    };
    return { holderStruckMs: act.who === "holder" ? [fromMs] : [], windows: [window] };
  }

  /** Each room goes with its third of the nodes, or the last of them with the second half. The host stays with the first. */
  async #split(act: Act & { readonly parts: number }, name: string, untilMs: number): Promise<Done> {
    const { nodes } = this.#mesh;
    const ends = Array.from({ length: act.parts }, () => [] as (NodeContainer | Room)[]);
    const parts = new Map<string, number>();
    for (const [at, node] of nodes.entries()) {
      const part = Math.floor((at * act.parts) / nodes.length);
      parts.set(node.name, part);
      ends[part]?.push(node);
    }
    for (const [at, room] of this.#rooms.entries()) {
      const part = Math.floor((at * act.parts) / this.#rooms.length);
      parts.set(room.name, part);
      ends[part]?.push(room);
    }
    const fromMs = Date.now();
    const wasHeldIn = parts.get(this.#mesh.holder().name);
    await this.#cabling.split(ends);
    await until(untilMs);
    const healedMs = Date.now();
    await this.#cabling.heal(nodes);
    const window = { name, fromMs, untilMs: Date.now() + AFTERMATH_MS, hidden: [], parts };
    return { holderStruckMs: wasHeldIn === undefined ? [] : [fromMs, healedMs], windows: [window] };
  }

  async #rolling(name: string): Promise<Done> {
    const struck: number[] = [];
    const windows: FaultWindow[] = [];
    for (const node of this.#mesh.nodes) {
      const fromMs = Date.now();
      if (node.holds(this.#mesh.vip)) struck.push(fromMs);
      await node.stop();
      await node.start();
      await this.#isReady(node);
      windows.push({ name, fromMs, untilMs: Date.now(), hidden: [node.name], parts: undefined });
      await delay(PAUSE_MS);
    }
    return { holderStruckMs: struck, windows };
  }

  async #failover(): Promise<Done> {
    const fromMs = Date.now();
    await this.#mesh.holder().run(...SKEIN, "test-failover");
    return { holderStruckMs: [fromMs], windows: [] };
  }

  async #isReady(node: NodeContainer): Promise<void> {
    for (let times = 0; times < 100; times += 1) {
      try {
        await node.ask("/readyz");
        return;
      } catch {
        // Not yet; the next node is stopped a little later.
        await delay(100);
      }
    }
  }

  /** Another one each time. */
  #follower(): NodeContainer {
    const others = this.#mesh.nodes.filter((node) => !node.holds(this.#mesh.vip));
    this.#victim += 7;
    const node = others[this.#victim % others.length];
    if (node === undefined) throw new Error("There is no node besides the holder");
    return node;
  }
}

async function until(untilMs: number): Promise<void> {
  await delay(Math.max(0, untilMs - Date.now()));
}
