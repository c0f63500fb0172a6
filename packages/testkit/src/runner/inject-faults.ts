/** Carries out the faults of a schedule in a world, and takes all of them back at the end of the chaos. */

import { type Prng, unreachable } from "@skein/kernel";
import type { Flight } from "../client/leaving.ts";
import { DISTURBING_MS } from "../world/network.ts";
import { randomStream } from "../world/random-streams.ts";
import type { SimNode } from "../world/sim-node.ts";
import type { World } from "../world/world.ts";
import { CopiedDisks } from "./copied-disks.ts";
import { DamageBudget } from "./damage-budget.ts";
import { HandOvers } from "./hand-overs.ts";
import { Interventions } from "./interventions.ts";
import { MembershipFaults } from "./membership-faults.ts";
import { Plots } from "./plots.ts";
import { type Fault, type FaultKind, LEADER, type Schedule } from "./schedule.ts";

/** A pair that does not reach each other has found a relay by then, unless something else goes wrong. */
const RELAYED_WITHIN_MS = 10_000;
/** Both ends learn of a cut at once, and the other kinds do nothing to a link. */
const HARMLESS_TO_RELAYS: ReadonlySet<FaultKind> = new Set([
  "isolated",
  "cut",
  "clientsCut",
  "mdnsSilence",
  "mdnsStale",
  "wallStep",
  "takeover",
  "foreign",
]);
/** After any other fault nobody knows for so long whether there is one. */
const RELAY_UNCERTAIN_MS = 30_000;

type Of<Kind extends Fault["kind"]> = Extract<Fault, { kind: Kind }>;

export class FaultInjector {
  readonly #world: World;
  readonly #prng: Prng;
  readonly #do: Interventions;
  readonly #budget: DamageBudget;
  readonly #plots: Plots;
  readonly #changes: MembershipFaults;
  readonly #handOvers: HandOvers;
  readonly #copies: CopiedDisks;
  readonly #chase: (client: number, flight: Flight) => void;
  /** Two nodes that must talk through another. */
  #isolated: readonly [SimNode, SimNode] | undefined;
  /** Addresses that machines had before they came back with others. */
  readonly #vacated: string[] = [];
  /** Faults that struck, by kind. */
  readonly struck = new Map<string, number>();
  #strikes = 0;

  /** `chase`: tells a client of the workload, by number, when to flee. */
  constructor(world: World, chase: (client: number, flight: Flight) => void) {
    this.#world = world;
    this.#chase = chase;
    this.#prng = randomStream(world.seed, "injector");
    this.#do = new Interventions(world);
    this.#budget = new DamageBudget(world);
    this.#changes = new MembershipFaults(world, this.#do);
    this.#handOvers = new HandOvers(world, this.#do, () => this.#strikes);
    this.#copies = new CopiedDisks(this.#do, this.#budget);
    this.#plots = new Plots(world, this.#do, this.#budget);
  }

  arm(schedule: Schedule): void {
    for (const fault of schedule.faults) {
      this.#world.events.at(fault.at, () => {
        if (this.#do.isOver || !this.#strike(fault)) return;
        this.#strikes++;
        this.struck.set(fault.kind, (this.struck.get(fault.kind) ?? 0) + 1);
        this.#relayDoubtful(fault);
      });
    }
  }

  /**
   * Ends all faults: everybody runs and reaches everybody, but for a minority that stays without power until {@link healRest}.
   * Only where no disk lacks anything: otherwise the voters that are left may rightly wait for those. Returns who runs.
   */
  healMajority(): readonly SimNode[] {
    const { most, isWhole } = this.#budget;
    const awayCount = isWhole ? this.#prng.below(most + 1) : 0;
    const nodes = [...this.#world.nodes];
    const away = Array.from({ length: awayCount }, () => {
      return nodes.splice(this.#prng.below(nodes.length), 1)[0] as SimNode;
    });
    this.#do.end();
    for (const node of away) {
      node.resume();
      node.kill("power");
    }
    this.#revive(nodes);
    return nodes;
  }

  /** The minority that was left behind comes back. */
  healRest(): void {
    this.#revive(this.#world.nodes);
  }

  #revive(nodes: readonly SimNode[]): void {
    for (const node of nodes) {
      node.resume();
      node.dieAfter(Number.POSITIVE_INFINITY);
      node.disk.faults.syncsFailing = 0;
      node.disk.replacing = undefined;
      node.start();
    }
  }

  #crashInSnapshot(node: SimNode, forMs: number): void {
    node.disk.replacing = (path) => {
      if (!path.endsWith("/snapshot")) return;
      node.disk.replacing = undefined;
      // Behind the turn that has asked for it; it takes longer than that.
      this.#world.events.after(0, () => this.#do.crash(node, 0, forMs));
    };
  }

  /** Whether it struck. */
  #strike(fault: Fault): boolean {
    switch (fault.kind) {
      case "crash":
        this.#do.crash(this.#node(fault.node), fault.effects, fault.forMs);
        return true;
      case "crashAfterAck":
        this.#plots.afterAcknowledgement(fault.delayMs, (node) => this.#do.crash(node, 0, fault.forMs));
        return true;
      case "crashInSnapshot":
        this.#crashInSnapshot(this.#node(fault.node), fault.forMs);
        return true;
      case "power":
      case "rot":
      case "wipe":
      case "moved":
        return this.#strikeDisk(fault, this.#node(fault.node));
      case "syncError": {
        const node = this.#node(fault.node);
        if (!this.#budget.takeSync(node)) return false;
        node.disk.faults.syncsFailing = 1;
        return true;
      }
      case "blackout":
        if (fault.afterAckMs === undefined) this.#blackout(fault);
        else this.#plots.afterAcknowledgement(fault.afterAckMs, () => this.#blackout(fault));
        return true;
      case "stop":
      case "pause":
      case "diskStall":
      case "diskFull":
        this.#hinder(fault, this.#node(fault.node));
        return true;
      case "suspend":
        this.#node(fault.node).suspend(fault.forMs);
        return true;
      case "stranger":
        this.#world.floating.hasStranger = true;
        this.#do.during(fault.forMs, () => {
          this.#world.floating.hasStranger = false;
        });
        return true;
      case "apart":
        this.#part(fault);
        return true;
      case "arrive":
        this.#node(fault.node).start();
        return true;
      case "takeover":
        this.#chase(fault.client, fault);
        return true;
      case "wallStep":
        this.#node(fault.node).machine.wallOffsetMs += fault.byMs;
        return true;
      case "isolated":
        return this.#isolate(fault);
      case "leave":
        return this.#changes.leave(this.#node(fault.node), fault.forMs);
      case "forget":
        return this.#changes.forget(this.#node(fault.node), fault.forMs);
      case "forgetAlone":
        return this.#changes.forgetAlone(this.#node(fault.node), this.#node(fault.target), fault.forMs);
      case "clone":
      case "standIn":
        return this.#copies.begin(fault, this.#node(fault.node), this.#node(fault.to));
      case "transfer":
        return this.#handOvers.begin();
      case "update":
        return this.#update(fault);
      case "foreign":
        return this.#strikeStranger(fault);
      case "replaced":
        this.#do.crash(this.#node(fault.node), 0, fault.forMs);
        return true;
      case "coup":
      case "usurp":
      case "echo":
      case "amnesia":
      case "schism":
        this.#plots.begin(fault);
        return true;
      default:
        this.#strikeNetwork(fault);
        return true;
    }
  }

  #part({ side, forMs }: Of<"apart">): void {
    const others = this.#world.nodes.map(({ index }) => index).filter((node) => !side.includes(node));
    const ways = side.flatMap((inside) => others.map((other): [number, number] => [other, inside]));
    this.#do.block(ways, false, forMs);
  }

  /** Only while nothing else is on: with several faults nobody can say whether a relay is left. */
  #isolate({ a, b, forMs }: Of<"isolated">): boolean {
    if (!this.#do.isCalm) return false;
    const pair = [this.#node(a), this.#node(b)] as const;
    if (pair.some(({ process }) => process === undefined)) return false;
    this.#isolated = pair;
    this.#do.sever(pair, RELAYED_WITHIN_MS, forMs, () => {
      this.#isolated = undefined;
    });
    return true;
  }

  /** A fault that keeps nodes from running may have hit the relay of an isolated pair, or all that could be one. */
  #relayDoubtful(fault: Fault): void {
    if (this.#isolated === undefined || HARMLESS_TO_RELAYS.has(fault.kind)) return;
    const forMs = "forMs" in fault ? fault.forMs : 0;
    this.#do.disturb(this.#isolated, forMs + RELAY_UNCERTAIN_MS, () => {});
  }

  #blackout({ forMs }: Of<"blackout">): void {
    this.#budget.takeAll();
    this.#do.cutPower(this.#world.nodes, forMs, () => this.#world.blackedOut());
  }

  #strikeDisk(fault: Of<"power" | "rot" | "wipe" | "moved">, node: SimNode): boolean {
    const { kind, forMs } = fault;
    if (kind === "power" || kind === "moved" ? !this.#budget.takePower(node) : !this.#budget.take(node))
      return false;
    this.#do.cutPower([node], forMs, () => {
      if (kind === "rot") node.disk.rot(this.#prng, () => true);
      if (kind === "wipe") node.disk.wipe();
      if (kind !== "moved") return;
      this.#vacated.push(node.host);
      node.readdress();
    });
    return true;
  }

  /** Whether it began: what ends before it has stopped in order is started again as it was. */
  #update({ node: number, isOutdated, forMs }: Of<"update">): boolean {
    const node = this.#node(number);
    if (node.process === undefined) return false;
    node.stop(() => {
      node.isOutdated = isOutdated;
      this.#do.during(forMs, () => node.start());
    });
    return true;
  }

  /** It comes back after the chaos, too: nobody has to be healed of it. */
  #strikeStranger({ stranger: number, isWiped, takesOver, forMs }: Of<"foreign">): boolean {
    const { strangers, events } = this.#world;
    const stranger = strangers[number];
    if (stranger?.process === undefined) return false;
    stranger.kill("crash");
    if (isWiped) stranger.disk.wipe();
    const host = takesOver ? this.#vacated.pop() : undefined;
    if (host !== undefined) stranger.takeOver(host);
    events.after(forMs, () => stranger.start());
    return true;
  }

  #hinder(fault: Of<"stop" | "pause" | "diskStall" | "diskFull">, node: SimNode): void {
    const { kind, forMs } = fault;
    const { faults } = node.disk;
    switch (kind) {
      case "stop":
        node.stop(() => this.#do.during(forMs, () => node.start()));
        return;
      case "pause":
        node.pause();
        this.#do.during(forMs, () => node.resume());
        return;
      case "diskStall":
        faults.stalledUntil = this.#world.events.now + forMs;
        this.#do.disturb([node], forMs, () => {});
        return;
      case "diskFull":
        faults.isFull = true;
        this.#do.disturb([node], forMs, () => {
          faults.isFull = false;
        });
        return;
      default:
        unreachable(kind);
    }
  }

  #strikeNetwork(
    fault: Of<"partition" | "severed" | "clog" | "cut" | "clientsCut" | "mdnsSilence" | "mdnsStale">,
  ): void {
    const { network, multicast } = this.#world;
    switch (fault.kind) {
      case "partition":
        this.#do.partition(fault.side, fault.oneWay, fault.forMs);
        return;
      case "severed":
        this.#do.block([[fault.a, fault.b]], fault.oneWay, fault.forMs);
        return;
      case "clog": {
        const nodes = [this.#node(fault.a), this.#node(fault.b)];
        network.clog(fault.a, fault.b, fault.slowerByMs);
        const undo = (): void => network.clog(fault.a, fault.b, 0);
        if (fault.slowerByMs >= DISTURBING_MS) this.#do.disturb(nodes, fault.forMs, undo);
        else this.#do.during(fault.forMs, undo);
        return;
      }
      case "cut":
        network.cut(fault.a, fault.b);
        return;
      case "clientsCut":
        this.#plots.afterAcknowledgement(fault.delayMs, ({ index }) => this.#cutClients(index));
        return;
      case "mdnsSilence":
        multicast.isSilent = true;
        this.#do.during(fault.forMs, () => {
          multicast.isSilent = false;
        });
        return;
      case "mdnsStale":
        multicast.repeatOld(this.#prng);
        return;
      default:
        unreachable(fault);
    }
  }

  #cutClients(machine: number): void {
    const { network, options } = this.#world;
    for (let client = options.nodes; client < options.nodes + options.clients; client++)
      network.cut(machine, client);
  }

  #node(number: number): SimNode {
    const { nodes } = this.#world;
    const leader = number === LEADER ? nodes.find((node) => node.status?.role === "leader") : undefined;
    return leader ?? (nodes[Math.max(0, number) % nodes.length] as SimNode);
  }
}
