/**
 * What the kernels of a network know of the floating address: which machine has it and until when, and what the clients'
 * ARP tables say.
 *
 * `ip`, `arping` and `socat` come through the process port and are understood here. The kernel outlives the process: an address
 * with a lifetime of 2 s is gone 2.0-2.5 s after the last renewal, whatever the process does. It sends no gratuitous ARP by
 * itself; without one a client goes on talking to the machine that had the address (measured: 50 s). A probe is answered by
 * every machine in reach that has the address, and by a stranger: a printer that somebody gave the same one.
 *
 * Source: reference design, section 2.2.
 */

import type { JobResult, LongProcess, Prng, ProcessPort } from "@skein/kernel";
import type { EventQueue, Scheduled } from "./event-queue.ts";
import type { SimProcess } from "./sim-process.ts";

const EXPIRY_LATE_MS_MAX = 510;
/** A client whose entry leads nowhere asks again after this long. */
const ARP_STALE_MS = 5000;
const RUN_MS = 3;
/** Ethernet address of the stranger. */
const STRANGER_MAC = "06:00:00:00:00:99";

export interface FloatingKernelPorts {
  readonly events: EventQueue;
  readonly prng: Prng;
  readonly isReachable: (from: number, to: number) => boolean;
  /** The address has come to a machine, or has left it. */
  readonly changed: (machine: number, isAdded: boolean) => void;
  /** An ACK with sequence number 0 goes from `machine` to a client's end of a connection: `host`, `port`. */
  readonly tickle: (machine: number, host: string, port: number) => void;
}

/** Ethernet address of a machine. */
export function macOf(machine: number): string {
  return `02:00:00:00:00:${machine.toString(16).padStart(2, "0")}`;
}

export class FloatingKernel {
  readonly address: string;
  readonly #machines: number;
  readonly #ports: FloatingKernelPorts;
  readonly #expiries = new Map<number, Scheduled>();
  /** By machine that has the address: since when, and until when if nothing happens. */
  readonly #times = new Map<number, { readonly since: number; readonly until: number }>();
  /** By client machine: where its kernel believes the address to be. */
  readonly #arp = new Map<number, number>();
  readonly #asleep = new Set<number>();
  /** A machine that is no node has the address too. */
  hasStranger = false;

  constructor(address: string, machines: number, ports: FloatingKernelPorts) {
    this.address = address;
    this.#machines = machines;
    this.#ports = ports;
  }

  isOn(machine: number): boolean {
    return this.#expiries.has(machine);
  }

  /** The world's time at which a machine got the address that it has. */
  heldSince(machine: number): number {
    return this.#times.get(machine)?.since ?? Number.POSITIVE_INFINITY;
  }

  /** The machine sleeps: the kernel's timers stand still. Returns whether it has the address; {@link woken} goes on. */
  fellAsleep(machine: number): boolean {
    this.#asleep.add(machine);
    this.#expiries.get(machine)?.cancel();
    return this.isOn(machine);
  }

  woken(machine: number, sleptMs: number): void {
    this.#asleep.delete(machine);
    const times = this.#times.get(machine);
    if (times === undefined) return;
    const { events } = this.#ports;
    this.#times.set(machine, { since: times.since, until: times.until + sleptMs });
    this.#expiries.set(
      machine,
      events.at(times.until + sleptMs, () => this.#remove(machine)),
    );
  }

  /** The programs of the operating system, for `process` on `machine`. */
  openFor(process: SimProcess, machine: number): ProcessPort {
    const { events } = this.#ports;
    return {
      run: (_ip, args, _timeoutMs, done) => {
        if (!process.effect()) return;
        events.after(RUN_MS, () => {
          this.#ip(machine, args);
          events.after(0, () => process.turn(() => done({ exitCode: 0, stdout: "", stderr: "" })));
        });
      },
      openShell: () => ({
        run: (script, args, limitMs, done) => {
          if (!process.effect()) return;
          events.after(RUN_MS, () => {
            const [result, afterMs] = this.#shell(machine, script, args, limitMs);
            events.after(afterMs, () => process.turn(() => done(result)));
          });
        },
        end: () => {},
      }),
      start: (): LongProcess => {
        let isRunning = true;
        return {
          writeLine: (line) => {
            if (isRunning && process.effect()) this.#ip(machine, line.split(" "));
          },
          kill: () => {
            isRunning = false;
          },
        };
      },
    };
  }

  /** Where a packet of `client` for the address goes; undefined: nobody has answered for it. */
  locate(client: number): number | undefined {
    const known = this.#arp.get(client);
    if (known !== undefined) {
      if (!this.isOn(known)) this.#ports.events.after(ARP_STALE_MS, () => this.#forget(client, known));
      return known;
    }
    for (const machine of this.#expiries.keys()) {
      if (!this.#ports.isReachable(client, machine) || !this.#ports.isReachable(machine, client)) continue;
      this.#arp.set(client, machine);
      return machine;
    }
    return undefined;
  }

  /** Where the ARP table of `client` has the address; undefined: it would ask. */
  arpEntryOf(client: number): number | undefined {
    return this.#arp.get(client);
  }

  /** The machine's power is cut: its addresses are gone. */
  powerLost(machine: number): void {
    this.#asleep.delete(machine);
    this.#remove(machine);
  }

  #ip(machine: number, words: readonly string[]): void {
    if (words[1] === "del") this.#remove(machine);
    else if (words[1] === "replace")
      this.#renew(machine, Number(words[words.indexOf("valid_lft") + 1]) * 1000);
    else throw new Error(`the simulated ip does not know: ${words.join(" ")}`);
  }

  #answersTo(machine: number): readonly string[] {
    const { isReachable } = this.#ports;
    const holders = [...this.#expiries.keys()].filter((holder) => {
      const isAwake = holder !== machine && !this.#asleep.has(holder);
      return isAwake && isReachable(machine, holder) && isReachable(holder, machine);
    });
    return [...holders.map(macOf), ...(this.hasStranger ? [STRANGER_MAC] : [])];
  }

  /** What the scripts of network-tools.ts do: they ask, or announce, or send segments their ways. How it ends, and after how many ms. */
  #shell(
    machine: number,
    script: string,
    args: readonly string[],
    limitMs: number,
  ): readonly [JobResult, number] {
    if (script.includes("arping -D")) {
      const output = this.#answersTo(machine).map((mac) => `reply [${mac}]\n`);
      return output.length === 0
        ? [{ exitCode: null, output: "" }, limitMs - RUN_MS]
        : [{ exitCode: 1, output: output.join("") }, RUN_MS];
    }
    if (script.includes("arping")) this.#announce(machine);
    else for (let at = 0; at + 1 < args.length; at += 2) this.#tickle(machine, args[at], args[at + 1]);
    return [{ exitCode: 0, output: "" }, 0];
  }

  #tickle(machine: number, segment = "", way = ""): void {
    const host = /^IP4-SENDTO:([\d.]+):6,bind=/.exec(way)?.[1];
    if (host === undefined || !this.isOn(machine)) return;
    const [, , high = 0, low = 0] = segment
      .split("\\")
      .slice(1)
      .map((octal) => Number.parseInt(octal, 8));
    this.#ports.tickle(machine, host, (high << 8) | low);
  }

  #renew(machine: number, lifetimeMs: number): void {
    const before = this.#expiries.get(machine);
    before?.cancel();
    const { events, prng, changed } = this.#ports;
    const atMs = lifetimeMs + prng.below(EXPIRY_LATE_MS_MAX);
    this.#expiries.set(
      machine,
      events.after(atMs, () => this.#remove(machine)),
    );
    const since = before === undefined ? events.now : this.heldSince(machine);
    this.#times.set(machine, { since, until: events.now + atMs });
    if (before === undefined) changed(machine, true);
  }

  #remove(machine: number): void {
    const expiry = this.#expiries.get(machine);
    if (expiry === undefined) return;
    expiry.cancel();
    this.#expiries.delete(machine);
    this.#times.delete(machine);
    this.#ports.changed(machine, false);
  }

  #announce(machine: number): void {
    if (!this.isOn(machine)) return;
    for (let client = 0; client < this.#machines; client++) {
      if (client !== machine && this.#ports.isReachable(machine, client)) this.#arp.set(client, machine);
    }
  }

  #forget(client: number, machine: number): void {
    if (this.#arp.get(client) === machine && !this.isOn(machine)) this.#arp.delete(client);
  }
}
