/**
 * Carries the floating address on Linux: one long-lived `ip -force -batch -` for the address, `arping` for the
 * gratuitous ARP.
 *
 * A renewal over the open `ip` costs 0.2 ms instead of 3 ms for a new process. Whatever goes wrong (no permission, not
 * Linux, program missing, interface gone) becomes `problem` and one warning; it is tried again with every renewal, so an
 * interface that comes back is used, and nothing here ever throws or stops the node.
 *
 * Source: reference design, sections 2.2 and 2.3; iproute2 `ip -batch`; iputils `arping`.
 */

import type { LongProcess, ProcessResult, Timer } from "@skein/kernel";
import { type AddressEvent, AddressHolding } from "./floating-address.ts";
import type { FloatingAddressOptions, FloatingAddressPorts } from "./options.ts";

const LIFETIME_SECONDS = 2;
const RESTART_MIN_MS = 500;
const RESTART_MAX_MS = 30_000;
/** `ip` that stays up this long is taken for healthy; a problem is over after renewals without an error for this long. */
const HEALTHY_MS = 2000;
const ARPING_TIMEOUT_MS = 3000;
const DELETE_TIMEOUT_MS = 1000;
/** `ip` says so when the address to delete is not there: nothing to do. */
const NOTHING_TO_DELETE = /Cannot assign requested address|Address not found/;

const NO_PERMISSION =
  "No permission to set addresses (CAP_NET_ADMIN). Running without the floating address; use node addresses.";
const NO_IP =
  "Cannot run the program ip (Linux package iproute2). Running without the floating address; use node addresses.";

export class FloatingAddress {
  readonly #options: FloatingAddressOptions;
  readonly #ports: FloatingAddressPorts;
  readonly #holding = new AddressHolding();
  #ip: LongProcess | undefined;
  #ipStartedAt = 0;
  #restartAfterMs = RESTART_MIN_MS;
  #timer: Timer | undefined;
  #restartTimer: Timer | undefined;
  #problem: string | undefined;
  /** First renewal since the last error; undefined before one. */
  #cleanSince: number | undefined;
  #warned = new Set<string>();
  #isStopped = false;

  constructor(options: FloatingAddressOptions, ports: FloatingAddressPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  /** This node holds the address, as far as it can tell. */
  get isHeld(): boolean {
    return this.#holding.isHeld && this.#problem === undefined;
  }

  /** One sentence for the operator, or undefined if all is well. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Opens `ip` and removes an address that an earlier process of ours left behind. */
  start(): void {
    this.#startIp();
    this.#ip?.writeLine(this.#deleteLine());
  }

  /** Call on every change of leadership and every new quorum contact. */
  update(lease: { readonly isLeader: boolean; readonly quorumContactAt: number | undefined }): void {
    this.#step({ kind: "lease", ...lease });
  }

  /** Gives the address up (clients first), ends `ip`, then calls `done`. At most a second. */
  stop(done: () => void): void {
    if (this.#isStopped) {
      this.#ports.clock.atTurnEnd(done);
      return;
    }
    const { isHeld } = this.#holding;
    if (isHeld) this.#ports.resetClients(this.#options.address);
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#restartTimer?.cancel();
    // What is still queued for it must not come after the deletion.
    this.#ip?.kill();
    if (!isHeld) {
      this.#ports.clock.atTurnEnd(done);
      return;
    }
    const args = this.#deleteLine().split(" ");
    this.#ports.process.run("ip", args, DELETE_TIMEOUT_MS, () => done());
  }

  #step(event: AddressEvent): void {
    if (this.#isStopped) return;
    const { clock, resetClients } = this.#ports;
    const { address, networkInterface } = this.#options;
    const wasHeld = this.#holding.isHeld;
    for (const effect of this.#holding.step(event, clock.monotonicMs())) {
      if (effect.kind === "renew") this.#renew();
      else if (effect.kind === "resetClients") resetClients(address);
      else if (effect.kind === "delete") this.#ip?.writeLine(this.#deleteLine());
      else this.#announce();
    }
    const { isHeld } = this.#holding;
    if (isHeld !== wasHeld && this.#problem === undefined) {
      const what = isHeld ? "took the floating address" : "gave up the floating address";
      this.#ports.log.info({ address, networkInterface }, what);
    }
    this.#armTimer();
  }

  #armTimer(): void {
    const { clock } = this.#ports;
    const { wakeAt } = this.#holding;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (wakeAt === undefined) return;
    this.#timer = clock.after(Math.max(0, wakeAt - clock.monotonicMs()), () => this.#step({ kind: "wake" }));
  }

  #renew(): void {
    const { address, networkInterface } = this.#options;
    const now = this.#ports.clock.monotonicMs();
    if (this.#ip !== undefined) this.#cleanSince ??= now;
    if (
      this.#problem !== undefined &&
      this.#cleanSince !== undefined &&
      now - this.#cleanSince >= HEALTHY_MS
    ) {
      this.#problem = undefined;
      this.#warned.clear();
      this.#ports.log.info({ address, networkInterface }, "floating address works again");
    }
    const lifetime = `valid_lft ${LIFETIME_SECONDS} preferred_lft ${LIFETIME_SECONDS}`;
    this.#ip?.writeLine(`addr replace ${address}/32 dev ${networkInterface} ${lifetime}`);
  }

  #deleteLine(): string {
    return `addr del ${this.#options.address}/32 dev ${this.#options.networkInterface}`;
  }

  /** Both forms: some receivers update on requests only, some on replies only. */
  #announce(): void {
    if (this.#problem !== undefined) return;
    const { address, networkInterface } = this.#options;
    for (const form of ["-U", "-A"]) {
      const args = [form, "-c", "1", "-w", "1", "-I", networkInterface, address];
      this.#ports.process.run("arping", args, ARPING_TIMEOUT_MS, (result) => this.#announced(result));
    }
  }

  /** The exit code of an unsolicited arping says nothing; only whether the program could run does. */
  #announced({ exitCode, stderr }: ProcessResult): void {
    if (exitCode !== null && !/not permitted/i.test(stderr)) return;
    this.#warnOnce(
      "Cannot run the program arping (package iputils-arping, CAP_NET_RAW). The floating address works, but clients " +
        "may need up to a minute to find its new holder.",
    );
  }

  #startIp(): void {
    const { clock, process } = this.#ports;
    this.#ipStartedAt = clock.monotonicMs();
    let hasExited = false;
    const ip = process.start(
      "ip",
      ["-force", "-batch", "-"],
      (line) => this.#ipComplained(line),
      (result) => {
        hasExited = true;
        this.#ipExited(result);
      },
    );
    if (!hasExited) this.#ip = ip;
  }

  #ipExited({ exitCode, stderr }: ProcessResult): void {
    this.#ip = undefined;
    if (this.#isStopped) return;
    const { clock } = this.#ports;
    const livedMs = clock.monotonicMs() - this.#ipStartedAt;
    if (livedMs >= HEALTHY_MS) this.#restartAfterMs = RESTART_MIN_MS;
    else if (exitCode === null || this.#restartAfterMs > RESTART_MIN_MS) this.#setProblem(NO_IP, { stderr });
    const afterMs = this.#restartAfterMs;
    this.#restartAfterMs = Math.min(RESTART_MAX_MS, afterMs * 2);
    this.#restartTimer = clock.after(afterMs, () => {
      this.#startIp();
      this.#step({ kind: "restarted" });
    });
  }

  #ipComplained(line: string): void {
    if (this.#isStopped || line.trim() === "" || /^Command failed/.test(line) || NOTHING_TO_DELETE.test(line))
      return;
    if (/not permitted/i.test(line)) this.#setProblem(NO_PERMISSION, {});
    else {
      const { address, networkInterface } = this.#options;
      this.#setProblem(
        `Cannot set the floating address ${address} on ${networkInterface}: ${line.trim()}`,
        {},
      );
    }
  }

  #setProblem(problem: string, fields: Readonly<Record<string, unknown>>): void {
    this.#problem = problem;
    this.#cleanSince = undefined;
    this.#warnOnce(problem, fields);
  }

  #warnOnce(problem: string, fields: Readonly<Record<string, unknown>> = {}): void {
    if (this.#warned.has(problem) || this.#warned.size >= 16) return;
    this.#warned.add(problem);
    const { address, networkInterface } = this.#options;
    this.#ports.log.warn({ address, networkInterface, ...fields }, problem);
  }
}
