/**
 * Carries the floating address on Linux: sets and renews it, announces it, looks for strangers that have it too, tickles the
 * clients of its past holder.
 *
 * When it may be held is decided elsewhere (entrance.ts); how long and in which order, in holding.ts; whether the network
 * allows it, in setup.ts and conflict-watch.ts. Nothing here ever throws or stops the node: what is wrong becomes a problem (it does
 * not work) or a warning (it works less well), one sentence each, for the log and the status page.
 *
 * Source: reference design, sections 2.2 and 2.3.
 */

import type { MonotonicMs, Timer } from "@skein/kernel";
import { Alarm } from "../alarm.ts";
import type { FloatingAddressOptions, FloatingAddressPorts } from "../options.ts";
import { BatchIp } from "./batch-ip.ts";
import { ConflictWatch } from "./conflict-watch.ts";
import type { Connection } from "./connections.ts";
import { type AddressEvent, AddressHolding } from "./holding.ts";
import { HOW_TO_ALLOW, type Lack, NetworkTools, type ProbeResult } from "./network-tools.ts";
import { setupProblem } from "./setup.ts";
import { SuspendWatch } from "./suspend-watch.ts";
import { Tickler } from "./tickler.ts";

/**
 * After taking the address: `ip` has carried it out, and the clients have heard the announcement, or their answers would go to the
 * past holder. The other times are for what was lost: in a network that has just been cut, on machines with much to do, some are.
 */
const TICKLE_AT_MS = [250, 1250, 2750];
/** The interface may come later, or change its network. */
const SETUP_CHECK_MS = 2000;
/** Whether the machine slept is looked at with every update where the address is at stake, else so often: it reads a file. */
const SLEEP_CHECK_MS = 1000;
const WARNINGS_MAX = 16;

/** What a program is needed for that the address can do without. */
type Aid = "neighbours" | "tickles";

const SLOW_CLIENTS = "when this node takes the floating address, clients may need up to a minute to find it";
const SLOW_IDLE_CLIENTS =
  "when this node takes the floating address after a power cut, idle clients notice it only at their keep-alive";
/** One sentence for both: it is one right. */
const NO_PERMISSION = `No permission to send raw packets (CAP_NET_RAW): ${SLOW_CLIENTS}, and idle ones notice it only at their keep-alive; ${HOW_TO_ALLOW}`;

export interface Warrant {
  /** This node may hold the address. */
  readonly isGiven: boolean;
  /** By a quorum; a stand-in gives it to itself. */
  readonly isElected: boolean;
  /** When that was confirmed last (Clock.monotonicMs). */
  readonly confirmedAt: number | undefined;
}

export class FloatingAddress {
  readonly #options: FloatingAddressOptions;
  readonly #ports: FloatingAddressPorts;
  readonly #holding = new AddressHolding();
  readonly #conflict = new ConflictWatch();
  readonly #suspend = new SuspendWatch();
  readonly #ip: BatchIp;
  readonly #tools: NetworkTools;
  readonly #tickler: Tickler;
  /** Not tickled for the last time yet. */
  #toTickle: readonly Connection[] = [];
  #tickleTimers: readonly Timer[] = [];
  readonly #alarm: Alarm;
  #setupProblem: string | undefined;
  #setupCheckedAt = Number.NEGATIVE_INFINITY;
  #sleepCheckedAt = Number.NEGATIVE_INFINITY;
  readonly #warnings = new Map<Aid, string>();
  /** Said in the log since it last worked. */
  readonly #said = new Set<string>();
  #isWanted = false;
  #isElected = false;
  #isStopped = false;

  constructor(options: FloatingAddressOptions, ports: FloatingAddressPorts) {
    const { clock, process } = ports;
    const { address, networkInterface } = options;
    this.#options = options;
    this.#ports = ports;
    this.#tools = new NetworkTools(options, process, () => ports.interfaceOf(networkInterface)?.mac);
    this.#alarm = new Alarm(clock, () => {
      this.#watch(this.#conflict.step({ kind: "wake" }, clock.monotonicMs()));
      this.#step({ kind: "wake" });
    });
    this.#ip = new BatchIp({
      clock,
      process,
      otherWay: ports.otherWay,
      explain: (line) =>
        `Cannot set the floating address ${address} on ${networkInterface}: ${line}. See the interface with: ip addr show ${networkInterface}`,
      restarted: () => this.#step({ kind: "restarted" }),
      problemChanged: (problem, fields) => this.#problemChanged(problem, fields),
    });
    this.#tickler = new Tickler({
      clock,
      tickle: (connections, done) => this.#tools.tickle(connections, done),
      finished: (segments, lack) => {
        this.#ports.log.info({ address, segments }, "tickled the clients of the past holder");
        this.#warn("tickles", lack);
      },
    });
  }

  get address(): string {
    return this.#options.address;
  }

  /** This node holds the address, as far as it can tell. */
  get isHeld(): boolean {
    return this.#holding.isHeld && this.problem === undefined;
  }

  /** Why the address does not work here: one sentence for the operator. Undefined if it does. */
  get problem(): string | undefined {
    const { address } = this.#options;
    const { isCleared, stranger } = this.#conflict;
    if (this.#setupProblem !== undefined) return this.#setupProblem;
    if (!isCleared && stranger !== undefined)
      return `${address} already answers ${this.#tools.isV6 ? "neighbour discovery" : "ARP"} (MAC ${stranger}, maybe a printer). Choose another address.`;
    return this.#ip.problem;
  }

  /** What makes it work less well, a sentence each. None if it does not work at all. */
  get warnings(): readonly string[] {
    if (this.problem !== undefined) return [];
    const { isCleared, stranger } = this.#conflict;
    const warnings = [...new Set(this.#warnings.values())];
    return isCleared && stranger !== undefined
      ? [...warnings, strangerWarning(this.address, stranger)]
      : warnings;
  }

  /** Removes an address that an earlier process of ours left behind, and asks whether somebody has it. */
  start(): void {
    this.#ip.start();
    this.#ip.write(this.#tools.deleteLine);
    this.#checkSetup();
    this.#tools.tryTickling((lack) => this.#warn("tickles", lack));
    this.#watch(this.#conflict.step({ kind: "start" }, this.#ports.clock.monotonicMs()));
  }

  /** Call on every change, and at least four times a second. */
  update({ isGiven, isElected, confirmedAt }: Warrant): void {
    if (this.#isStopped) return;
    const now = this.#ports.clock.monotonicMs();
    if (isGiven || this.#holding.isHeld || now - this.#sleepCheckedAt >= SLEEP_CHECK_MS)
      this.#checkSleep(now);
    if (!this.#holding.isHeld && now - this.#setupCheckedAt >= SETUP_CHECK_MS) this.#checkSetup();
    this.#recognize(now);
    const isPossible = this.#setupProblem === undefined && this.#conflict.isCleared;
    const isPromoted = this.#holding.isHeld && isElected && !this.#isElected;
    this.#isWanted = isGiven;
    this.#isElected = isElected;
    this.#step({ kind: "warrant", isGiven: isGiven && isPossible, confirmedAt });
    if (isPromoted) this.reunited();
  }

  /** Asks the network whether another node has it: `done(true)` if anybody answers. */
  probe(done: (isAnswered: boolean) => void): void {
    this.#tools.probe((result) => {
      this.#probed(result);
      done(typeof result !== "string" && result.macs.length > 0);
    });
  }

  /** A node of the mesh has come into reach, or the stand-in that this one was has been elected. */
  reunited(): void {
    this.#step({ kind: "reunited", isElected: this.#isElected });
    // What went out while clients were drawn to two holders may have been in vain.
    if (this.#isElected && this.#holding.isHeld && this.#toTickle.length > 0) this.#beginTickling();
  }

  /** When this node takes the address, these clients of its past holder are tickled. */
  tickleOnTaking(connections: readonly Connection[]): void {
    // Who loses the address before it has tickled them all does it the next time.
    if (connections.length > 0) this.#toTickle = connections.filter((one) => this.#tools.fits(one));
  }

  /** Gives the address up (clients first), ends `ip` and the shell, then calls `done`. At most a second. */
  stop(done: () => void): void {
    const { clock, resetClients } = this.#ports;
    const isHeld = !this.#isStopped && this.#holding.isHeld;
    if (isHeld) resetClients(this.#options.address);
    this.#isStopped = true;
    this.#alarm.stop();
    this.#lost();
    // What is still queued for it must not come after the deletion.
    this.#ip.stop();
    this.#tools.end();
    if (isHeld) this.#tools.delete(done);
    else clock.atTurnEnd(done);
  }

  #step(event: AddressEvent): void {
    if (this.#isStopped) return;
    const { clock, resetClients, log } = this.#ports;
    const { address, networkInterface } = this.#options;
    const wasHeld = this.#holding.isHeld;
    for (const effect of this.#holding.step(event, clock.monotonicMs())) {
      if (effect.kind === "renew") this.#ip.set(this.#tools.renewLine);
      else if (effect.kind === "resetClients") resetClients(address);
      else if (effect.kind === "delete") this.#ip.write(this.#tools.deleteLine);
      else this.#announce();
    }
    const { isHeld } = this.#holding;
    if (isHeld && !wasHeld) this.#beginTickling();
    if (!isHeld && wasHeld) this.#lost();
    if (isHeld !== wasHeld && this.problem === undefined) {
      log.info(
        { address, networkInterface },
        isHeld ? "took the floating address" : "gave up the floating address",
      );
    }
    const [isWanted, isElected] = [this.#isWanted, this.#isElected];
    this.#watch(this.#conflict.step({ kind: "state", isHeld, isWanted, isElected }, clock.monotonicMs()));
  }

  #beginTickling(): void {
    for (const timer of this.#tickleTimers) timer.cancel();
    this.#tickleTimers = TICKLE_AT_MS.map((atMs, round) =>
      this.#ports.clock.after(atMs, () => {
        if (this.problem === undefined) this.#tickler.begin(this.#toTickle);
        if (round === TICKLE_AT_MS.length - 1) this.#toTickle = [];
      }),
    );
  }

  #lost(): void {
    for (const timer of this.#tickleTimers) timer.cancel();
    this.#tickler.cancel();
  }

  #checkSleep(now: number): void {
    const { clock, bootMs } = this.#ports;
    this.#sleepCheckedAt = now;
    if (this.#suspend.hasSlept(bootMs(), now, clock.monotonicMs())) this.#slept();
  }

  #slept(): void {
    this.#ports.log.warn({ address: this.#options.address }, "the machine slept");
    this.#step({ kind: "suspended" });
    this.#ports.suspended();
  }

  #setAlarm(): void {
    const { wakeAt = Number.POSITIVE_INFINITY } = this.#holding;
    this.#alarm.set(Math.min(wakeAt, this.#conflict.wakeAt ?? Number.POSITIVE_INFINITY));
  }

  #watch(effects: ReturnType<ConflictWatch["step"]>): void {
    for (const effect of effects) {
      if (effect.kind === "defend") this.#announce();
      else this.#tools.probe((result) => this.#probed(result));
    }
    this.#setAlarm();
  }

  /** Of a probe, whoever asked for it. */
  #probed(result: ProbeResult): void {
    if (this.#isStopped) return;
    const { isMember, contested, clock } = this.#ports;
    this.#warn("neighbours", lackIn(result));
    const macs = typeof result === "string" ? [] : result.macs;
    const stranger = macs.find((mac) => !isMember(mac));
    const before = this.#conflict.stranger;
    const event =
      result === "unsent" ? ({ kind: "unsent" } as const) : ({ kind: "probed", stranger } as const);
    this.#watch(this.#conflict.step(event, clock.monotonicMs()));
    if (this.#holding.isHeld && stranger === undefined && macs.length > 0) contested();
    this.#sayStranger(before);
  }

  /** Who starts asks before it knows a single member: what answered may turn out to be one. */
  #recognize(now: MonotonicMs): void {
    const { answered, stranger } = this.#conflict;
    if (answered === undefined || !this.#ports.isMember(answered)) return;
    this.#watch(this.#conflict.step({ kind: "recognized" }, now));
    this.#sayStranger(stranger);
  }

  /** What has changed since `before` was the stranger. */
  #sayStranger(before: string | undefined): void {
    const { log } = this.#ports;
    const { address } = this.#options;
    const mac = this.#conflict.stranger;
    if (mac !== undefined && mac !== before)
      log.error({ address, mac }, this.problem ?? strangerWarning(address, mac));
    if (mac === undefined && before !== undefined)
      log.info({ address, mac: before }, "no stranger has the address any more");
  }

  #announce(): void {
    if (this.problem !== undefined) return;
    this.#tools.announce((lack) => this.#warn("neighbours", lack));
  }

  #checkSetup(): void {
    const { clock, interfaceOf } = this.#ports;
    this.#setupCheckedAt = clock.monotonicMs();
    const before = this.#setupProblem;
    this.#setupProblem = setupProblem(this.#options, interfaceOf(this.#options.networkInterface));
    if (this.#setupProblem !== before) this.#problemChanged(this.#setupProblem, {});
    // Whether it works now is found out by doing something that changes nothing.
    if (this.#ip.problem !== undefined) this.#ip.set(this.#tools.deleteLine);
    // Likewise a probe that could not be made: on a starved machine its answer comes too late once, and nobody asks again.
    if (!this.#warnings.has("neighbours")) return;
    this.#tools.probe((result) => {
      if (!this.#isStopped) this.#warn("neighbours", lackIn(result));
    });
  }

  #problemChanged(problem: string | undefined, fields: Readonly<Record<string, unknown>>): void {
    const { address, networkInterface } = this.#options;
    if (problem !== undefined) this.#say(problem, fields);
    else if (this.problem === undefined) {
      this.#said.clear();
      this.#ports.log.info({ address, networkInterface }, "floating address works again");
      this.#step({ kind: "mended" });
    }
  }

  #warn(aid: Aid, lack: Lack | undefined): void {
    if (lack === undefined) {
      this.#warnings.delete(aid);
      return;
    }
    const warning = lackWarning(aid, lack, this.#tools.isV6);
    this.#warnings.set(aid, warning);
    this.#say(warning, {});
  }

  #say(sentence: string, fields: Readonly<Record<string, unknown>>): void {
    if (this.#said.has(sentence) || this.#said.size >= WARNINGS_MAX) return;
    this.#said.add(sentence);
    const { address, networkInterface } = this.#options;
    this.#ports.log.warn({ address, networkInterface, ...fields }, sentence);
  }
}

function strangerWarning(address: string, mac: string): string {
  return `Another host answers for the floating address ${address} too (MAC ${mac}, maybe a printer). This node defends it; give one of the two another address.`;
}

function lackIn(result: ProbeResult): Lack | undefined {
  return result === "missing" || result === "forbidden" ? result : undefined;
}

function lackWarning(aid: Aid, lack: Lack, isV6: boolean): string {
  if (lack === "forbidden") return NO_PERMISSION;
  if (aid === "tickles") return `Cannot run the program socat: ${SLOW_IDLE_CLIENTS}; run: apt install socat`;
  const [program, packageName] = isV6 ? ["socat", "socat"] : ["arping", "iputils-arping"];
  return `Cannot run the program ${program}: ${SLOW_CLIENTS}; run: apt install ${packageName}`;
}
