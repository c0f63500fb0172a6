/**
 * How the programs of the operating system are asked for what the floating address needs, for both families.
 *
 * IPv4: `arping` announces and probes. IPv6: `socat` does. It sends the unsolicited neighbour advertisement, because the kernel
 * sends none for an address added with `nodad`; and a neighbour solicitation for the address, whose answers a raw socket hears
 * also while this machine has the address itself, when the kernel would ask nobody. With a preferred lifetime of 0 the kernel
 * never takes the IPv6 address as the source of connections of its own.
 *
 * Starting a program stops the event loop until the system has got round to it: 2 ms, but 50 to 450 ms where others want the processor,
 * and a holder that starts many at once serves nobody meanwhile. So a shell is kept, and it starts them.
 *
 * Source: iputils arping, iproute2, socat; RFC 4861 sections 7.2.2 and 7.2.6, RFC 6724 section 5 (rule 3); measured:
 * docs/floating-address.md.
 */

import { formatIp, type JobResult, type ProcessPort, parseIp, type Shell } from "@skein/kernel";
import type { FloatingAddressOptions } from "../options.ts";
import type { Connection } from "./connections.ts";
import { macBytes, macText } from "./frames.ts";
import {
  advertisedMac,
  neighbourAdvertisement,
  neighbourSolicitation,
  solicitedNode,
  tickleSegment,
} from "./packets.ts";

const LIFETIME_SECONDS = 2;
/** An answer takes a millisecond on a wire and some tens on Wi-Fi. */
const PROBE_MS = 400;
const LIMIT_MS = 3000;
const DELETE_TIMEOUT_MS = 1000;

/** $1: interface, $2: address. Both forms: some receivers update on requests only, some on replies only. */
const ANNOUNCE =
  'arping -U -c 1 -w 1 -I "$1" "$2" & arping -A -c 1 -w 1 -I "$1" "$2"; code=$?; wait; exit $code';
/** The same arguments. Two questions, and killed while it waits for the answer to the second: unanswered is no answer by then. */
const PROBE = 'exec arping -D -c 2 -w 2 -I "$1" "$2"';
/** In turn: a packet as printf writes it, and where it goes. One that cannot be sent keeps none of the others back. */
const SEND =
  'while [ $# -gt 1 ]; do printf %b "$1" | socat -u - "$2" || { code=$?; [ $code -lt 126 ] || exit $code; }; shift 2; done';
/** One of them; it shows in hexadecimal what is heard until so long after the question. */
const ASK = `printf %b "$1" | socat -x -t ${PROBE_MS / 1000} - "$2"`;
/** $1: where it would go. */
const SEND_NOTHING = 'exec socat -u /dev/null "$1"';

/** What to do about a right that is missing, to be put behind "or". */
export const HOW_TO_ALLOW =
  "give it with --cap-add NET_ADMIN --cap-add NET_RAW (Docker) or AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW (systemd)";

/** Why a program has done nothing: it cannot be started, or has not the right (CAP_NET_RAW) to do it. */
export type Lack = "missing" | "forbidden";

/**
 * What a probe has found: Ethernet addresses of those that answered, or why nobody was asked.
 * `unsent`: the interface cannot send; it has no address to send from yet, or is not there.
 */
export type ProbeResult = { readonly macs: readonly string[] } | Lack | "unsent";

export class NetworkTools {
  readonly #options: FloatingAddressOptions;
  readonly #process: ProcessPort;
  readonly #shell: Shell;
  readonly #ownMac: () => string | undefined;
  readonly #ip: Uint8Array;

  /** `ownMac`: Ethernet address of the interface; undefined: there is no such interface. */
  constructor(options: FloatingAddressOptions, process: ProcessPort, ownMac: () => string | undefined) {
    this.#options = options;
    this.#process = process;
    this.#shell = process.openShell();
    this.#ownMac = ownMac;
    this.#ip = parseIp(options.address) ?? new Uint8Array(4);
  }

  /** The floating address is one of IPv6. */
  get isV6(): boolean {
    return this.#ip.length === 16;
  }

  /** Line for the batch `ip`: adds the address, or prolongs it. */
  get renewLine(): string {
    const { address, networkInterface } = this.#options;
    const line = `addr replace ${address}/${8 * this.#ip.length} dev ${networkInterface} valid_lft ${LIFETIME_SECONDS}`;
    return this.isV6 ? `${line} preferred_lft 0 nodad` : `${line} preferred_lft ${LIFETIME_SECONDS}`;
  }

  get deleteLine(): string {
    const { address, networkInterface } = this.#options;
    return `addr del ${address}/${8 * this.#ip.length} dev ${networkInterface}`;
  }

  /** Nothing is announced, asked or sent any more. */
  end(): void {
    this.#shell.end();
  }

  /** Deletes it with a process of its own: nothing comes after it. */
  delete(done: () => void): void {
    this.#process.run("ip", this.deleteLine.split(" "), DELETE_TIMEOUT_MS, () => done());
  }

  /** Tells everybody where the address is now. `failed`: the program could not do it. */
  announce(failed: (lack: Lack) => void): void {
    const { address, networkInterface } = this.#options;
    const done = (result: JobResult): void => {
      const lack = lackOf(result);
      if (lack !== undefined) failed(lack);
    };
    if (!this.isV6) {
      this.#shell.run(ANNOUNCE, [networkInterface, address], LIMIT_MS, done);
      return;
    }
    const mac = macBytes(this.#ownMac() ?? "");
    if (mac === undefined) return;
    const to = `IP6-SENDTO:[ff02::1]:58,bind=[${address}],${this.#asNeighbour}`;
    this.#shell.run(SEND, [escaped(neighbourAdvertisement(this.#ip, mac)), to], LIMIT_MS, done);
  }

  /** For socat: hop limit 255 (IPPROTO_IPV6, IPV6_MULTICAST_HOPS), or receivers ignore it. (58 is ICMPv6.) */
  get #asNeighbour(): string {
    return `so-bindtodevice=${this.#options.networkInterface},setsockopt-int=41:18:255`;
  }

  /** Asks the network who has the address. This machine's own kernel does not answer. Takes less than half a second. */
  probe(done: (result: ProbeResult) => void): void {
    if (this.isV6) this.#probeV6(done);
    else this.#probeV4(done);
  }

  #probeV4(done: (result: ProbeResult) => void): void {
    const { address, networkInterface } = this.#options;
    this.#shell.run(PROBE, [networkInterface, address], PROBE_MS, (result) => {
      const macs = [...result.output.matchAll(/\[([\dA-Fa-f:]{17})\]/g)].map((match) =>
        (match[1] ?? "").toLowerCase(),
      );
      const wasAsked = result.exitCode === 0 || result.exitCode === null;
      done(macs.length === 0 && !wasAsked ? whyUnasked(result) : { macs });
    });
  }

  #probeV6(done: (result: ProbeResult) => void): void {
    const mac = macBytes(this.#ownMac() ?? "");
    if (mac === undefined) {
      done("unsent");
      return;
    }
    // Without IPV6_MULTICAST_LOOP (19): the own kernel, which may have the address, must not hear the question.
    const to = `IP6-DATAGRAM:[${formatIp(solicitedNode(this.#ip))}]:58,${this.#asNeighbour},setsockopt-int=41:19:0`;
    const question = neighbourSolicitation(this.#ip, mac);
    this.#shell.run(ASK, [escaped(question), to], LIMIT_MS, (result) => {
      const macs = heardPackets(result.output)
        .map((packet) => advertisedMac(packet, this.#ip))
        .filter((answer) => answer !== undefined)
        .map(macText);
      done(macs.length === 0 && result.exitCode !== 0 ? whyUnasked(result) : { macs });
    });
  }

  /** Finds out whether clients could be tickled: opens the same kind of socket, and sends nothing. */
  tryTickling(done: (lack: Lack | undefined) => void): void {
    const to = this.isV6 ? "IP6-SENDTO:[::1]:6" : "IP4-SENDTO:127.0.0.1:6";
    this.#shell.run(SEND_NOTHING, [to], LIMIT_MS, (result) => done(lackOf(result)));
  }

  /** Makes clients of the past holder look after their connections. `lack`: why the program could not do it. */
  tickle(connections: readonly Connection[], done: (lack: Lack | undefined) => void): void {
    const args = connections.flatMap(({ ip, port, serverPort }) => {
      const segment = tickleSegment({ ip: this.#ip, port: serverPort }, { ip, port });
      return [escaped(segment), this.#clientAt(formatIp(ip))];
    });
    this.#shell.run(SEND, args, LIMIT_MS, (result) => done(lackOf(result)));
  }

  /** For socat: TCP (6) to a client, as the floating address. */
  #clientAt(client: string): string {
    const { address } = this.#options;
    return this.isV6
      ? `IP6-SENDTO:[${client}]:6,bind=[${address}]`
      : `IP4-SENDTO:${client}:6,bind=${address}`;
  }

  /** Whether `connection` is of the address's family. */
  fits({ ip }: Connection): boolean {
    return ip.length === this.#ip.length;
  }
}

function lackOf({ exitCode, output }: JobResult): Lack | undefined {
  // 126: the right to start it is missing; its file has capabilities that this process may not get.
  if (exitCode === 126 || /not permitted|EPERM|EACCES/i.test(output)) return "forbidden";
  return exitCode === null || exitCode === 127 ? "missing" : undefined;
}

/** As `printf %b` reads it. */
function escaped(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => `\\0${byte.toString(8).padStart(3, "0")}`).join("");
}

function whyUnasked(result: JobResult): ProbeResult {
  return lackOf(result) ?? "unsent";
}

/** What `socat -x` has received: a line about each packet that begins with `<`, and a line with its bytes. */
function heardPackets(dump: string): readonly Uint8Array[] {
  return [...dump.matchAll(/^< .*\n((?: [\da-f]{2})+)$/gm)].map(([, bytes = ""]) =>
    Uint8Array.from(bytes.trim().split(" "), (digits) => Number.parseInt(digits, 16)),
  );
}
