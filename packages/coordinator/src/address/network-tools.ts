/**
 * How the programs of the operating system are asked for what the floating address needs, for both families.
 *
 * IPv4: `arping` announces and probes. IPv6: `socat` sends the unsolicited neighbour advertisement, because the kernel sends none
 * for an address added with `nodad`; whether somebody has the address is seen in the kernel's neighbour table after a datagram
 * to it. With a preferred lifetime of 0 the kernel never takes the IPv6 address as the source of connections of its own.
 *
 * Source: iputils arping, iproute2, socat; RFC 4861 section 7.2.6, RFC 6724 section 5 (rule 3); measured: docs/floating-address.md.
 */

import type { Clock, ProcessPort, ProcessResult } from "@skein/kernel";
import type { FloatingAddressOptions } from "../options.ts";
import type { Connection } from "./connections.ts";
import { macBytes } from "./frames.ts";
import { formatIp, parseIp } from "./ip-address.ts";
import { neighbourAdvertisement, tickleSegment } from "./packets.ts";

const LIFETIME_SECONDS = 2;
/** An answer takes a millisecond on a wire and some tens on Wi-Fi. */
const PROBE_MS = 400;
const RUN_TIMEOUT_MS = 3000;
const DELETE_TIMEOUT_MS = 1000;

/** What a probe has found: Ethernet addresses of those that answered, or that it could not be carried out. */
export type ProbeResult = { readonly macs: readonly string[] } | "failed";

export class NetworkTools {
  readonly #options: FloatingAddressOptions;
  readonly #process: ProcessPort;
  readonly #clock: Clock;
  readonly #ip: Uint8Array;

  constructor(options: FloatingAddressOptions, process: ProcessPort, clock: Clock) {
    this.#options = options;
    this.#process = process;
    this.#clock = clock;
    this.#ip = parseIp(options.address) ?? new Uint8Array(4);
  }

  get #isV6(): boolean {
    return this.#ip.length === 16;
  }

  /** Line for the batch `ip`: adds the address, or prolongs it. */
  get renewLine(): string {
    const { address, networkInterface } = this.#options;
    const line = `addr replace ${address}/${8 * this.#ip.length} dev ${networkInterface} valid_lft ${LIFETIME_SECONDS}`;
    return this.#isV6 ? `${line} preferred_lft 0 nodad` : `${line} preferred_lft ${LIFETIME_SECONDS}`;
  }

  get deleteLine(): string {
    const { address, networkInterface } = this.#options;
    return `addr del ${address}/${8 * this.#ip.length} dev ${networkInterface}`;
  }

  /** Deletes it with a process of its own: nothing comes after it. */
  delete(done: () => void): void {
    this.#process.run("ip", this.deleteLine.split(" "), DELETE_TIMEOUT_MS, () => done());
  }

  /** Tells everybody where the address is now. `failed`: not even the program could be run. */
  announce(mac: string | undefined, failed: () => void): void {
    const { address, networkInterface } = this.#options;
    const done = (result: ProcessResult): void => {
      if (isUnusable(result)) failed();
    };
    if (!this.#isV6) {
      // Both forms: some receivers update on requests only, some on replies only. The exit code says nothing.
      for (const form of ["-U", "-A"]) {
        this.#process.run(
          "arping",
          [form, "-c", "1", "-w", "1", "-I", networkInterface, address],
          RUN_TIMEOUT_MS,
          done,
        );
      }
      return;
    }
    const bytes = mac === undefined ? undefined : macBytes(mac);
    if (bytes === undefined) return;
    // Hop limit 255 (IPPROTO_IPV6, IPV6_MULTICAST_HOPS), or receivers ignore it; 58 is ICMPv6.
    const to = `IP6-SENDTO:[ff02::1]:58,bind=[${address}],so-bindtodevice=${networkInterface},setsockopt-int=41:18:255`;
    this.#process.run(
      "socat",
      ["-u", "-", to],
      RUN_TIMEOUT_MS,
      done,
      neighbourAdvertisement(this.#ip, bytes),
    );
  }

  /** Asks the network who has the address. This machine's own kernel does not answer. Takes less than half a second. */
  probe(done: (result: ProbeResult) => void): void {
    if (this.#isV6) this.#probeV6(done);
    else this.#probeV4(done);
  }

  #probeV4(done: (result: ProbeResult) => void): void {
    const { address, networkInterface } = this.#options;
    // Two questions, and killed while it waits for the answer to the second: unanswered is no answer by then.
    const args = ["-D", "-c", "2", "-w", "2", "-I", networkInterface, address];
    this.#process.run("arping", args, PROBE_MS, ({ exitCode, stdout, stderr }) => {
      const macs = [...stdout.matchAll(/\[([\dA-Fa-f:]{17})\]/g)].map((match) =>
        (match[1] ?? "").toLowerCase(),
      );
      const wasKilled = exitCode === null && stderr === "";
      done(macs.length === 0 && exitCode !== 0 && !wasKilled ? "failed" : { macs });
    });
  }

  #probeV6(done: (result: ProbeResult) => void): void {
    const { address, networkInterface } = this.#options;
    const entry = [address, "dev", networkInterface];
    const ask = `UDP6-SENDTO:[${address}%${networkInterface}]:9`;
    // What the kernel remembers of the past holder is no answer.
    this.#process.run("ip", ["-6", "neigh", "del", ...entry], RUN_TIMEOUT_MS, () => {
      this.#process.run(
        "socat",
        ["-u", "-", ask],
        RUN_TIMEOUT_MS,
        (asked) => {
          if (isUnusable(asked)) done("failed");
          else this.#clock.after(PROBE_MS, () => this.#readNeighbour(entry, done));
        },
        new Uint8Array(1),
      );
    });
  }

  #readNeighbour(entry: readonly string[], done: (result: ProbeResult) => void): void {
    this.#process.run("ip", ["-6", "neigh", "show", "to", ...entry], RUN_TIMEOUT_MS, ({ stdout }) => {
      const mac = /lladdr ([\da-f:]{17}) (?!FAILED|INCOMPLETE)/i.exec(stdout)?.[1];
      done({ macs: mac === undefined ? [] : [mac.toLowerCase()] });
    });
  }

  /** Makes a client of the past holder look after its connection. `failed`: the program could not be run. */
  tickle({ ip, port, serverPort }: Connection, done: (hasFailed: boolean) => void): void {
    const { address } = this.#options;
    const client = formatIp(ip);
    const to = this.#isV6
      ? `IP6-SENDTO:[${client}]:6,bind=[${address}]`
      : `IP4-SENDTO:${client}:6,bind=${address}`;
    const segment = tickleSegment({ ip: this.#ip, port: serverPort }, { ip, port });
    this.#process.run(
      "socat",
      ["-u", "-", to],
      RUN_TIMEOUT_MS,
      (result) => done(isUnusable(result)),
      segment,
    );
  }

  /** Whether `connection` is of the address's family. */
  fits({ ip }: Connection): boolean {
    return ip.length === this.#ip.length;
  }
}

/** It could not be started, or has not the right to do it (126: the shell's code, of a file capability that is not granted). */
function isUnusable({ exitCode, stderr }: ProcessResult): boolean {
  return exitCode === null || exitCode === 126 || /not permitted/i.test(stderr);
}
