/**
 * The multicast DNS port on the multicast-dns library.
 *
 * One socket listens on port 5353 (shared with other responders) and is joined to the group on every interface; one
 * socket per interface sends, because a multicast packet leaves through exactly one. Senders are bound to their
 * interface's address and therefore hear no multicast. Interfaces come and go: whoever sends looks anew.
 *
 * Source: RFC 6762 sections 5, 11 and 15; quirks of the library in reference style 5 and design 3.6.
 */

import type { RemoteInfo } from "node:dgram";
import { hostname, networkInterfaces } from "node:os";
import { performance } from "node:perf_hooks";
import type { DnsHandler, DnsQuestion, DnsRecord, Log, MulticastDns } from "@skein/kernel";
import createSocket, { type MulticastDNS as DnsSocket, type FullPacket } from "multicast-dns";
import { recordFromWire, recordToWire } from "./dns-records.ts";

const PORT = 5353;
/** Records and questions read from one packet; the rest of it is ignored. */
const RECORDS_MAX = 256;
/** Interfaces used at most: a container host may have hundreds. */
const INTERFACES_MAX = 32;
const QUESTION_TYPES: ReadonlySet<string> = new Set(["PTR", "SRV", "TXT", "A", "AAAA", "ANY"]);

export interface MulticastDnsOptions {
  readonly log: Log;
  /** IPv4 addresses of the interfaces to send on; by default all but loopback, or loopback if there is no other. */
  readonly interfaces?: readonly string[];
  /** UDP port; anything but 5353 is for tests. */
  readonly port?: number;
}

/** Multicast DNS on this machine's networks. Starting and stopping may be repeated. */
export function multicastDns(options: MulticastDnsOptions): MulticastDns {
  let running: RunningDns | undefined;
  return {
    start: (handler) => {
      running?.stop();
      running = new RunningDns(options, handler);
    },
    query: (questions) => running?.query(questions),
    respond: (records) => running?.respond(records),
    localAddresses,
    hostName: hostname,
    stop: () => {
      running?.stop();
      running = undefined;
    },
  };
}

class RunningDns {
  readonly #options: MulticastDnsOptions;
  readonly #handler: DnsHandler;
  readonly #receiver: ManagedSocket;
  /** By address of their interface. */
  readonly #senders = new Map<string, ManagedSocket>();
  #isStopped = false;

  constructor(options: MulticastDnsOptions, handler: DnsHandler) {
    this.#options = options;
    this.#handler = handler;
    this.#receiver = this.#open(undefined, (error) => this.#fail(error));
  }

  query(questions: readonly DnsQuestion[]): void {
    const wire = questions.map(({ name, type }) => ({ name, type: type as "PTR" }));
    for (const sender of this.#currentSenders()) sender.socket.query(wire, ignoreSendError);
  }

  respond(records: readonly DnsRecord[]): void {
    const wire = records.map(recordToWire);
    for (const sender of this.#currentSenders()) sender.socket.respond(wire, ignoreSendError);
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#receiver.close();
    for (const sender of this.#senders.values()) sender.close();
    this.#senders.clear();
  }

  /** One sender for each interface that is there now. */
  #currentSenders(): Iterable<ManagedSocket> {
    if (this.#isStopped) return [];
    const addresses = (this.#options.interfaces ?? sendingAddresses()).slice(0, INTERFACES_MAX);
    for (const [address, sender] of this.#senders) {
      if (addresses.includes(address)) continue;
      sender.close();
      this.#senders.delete(address);
    }
    for (const address of addresses) {
      if (this.#senders.has(address)) continue;
      const sender = this.#open(address, (error) => {
        // One interface less; the next query tries again.
        this.#options.log.debug(
          { address, error: error.message },
          "cannot send multicast DNS on an interface",
        );
        if (this.#senders.get(address) === sender) this.#senders.delete(address);
        sender.close();
      });
      this.#senders.set(address, sender);
    }
    return this.#senders.values();
  }

  /** Opens the receiver (undefined) or the sender of an interface. */
  #open(address: string | undefined, failed: (error: Error) => void): ManagedSocket {
    const socket = createSocket({
      port: this.#options.port ?? PORT,
      reuseAddr: true,
      loopback: true,
      ...(address === undefined ? { bind: "0.0.0.0" } : { interface: address, bind: address }),
    });
    socket.on("query", (packet, from) => this.#queried(packet, from));
    socket.on("response", (packet, from) => this.#answered(packet, from));
    return new ManagedSocket(socket, failed);
  }

  #queried(packet: FullPacket, from: RemoteInfo): void {
    if (this.#isStopped) return;
    const questions = (packet.questions ?? [])
      .slice(0, RECORDS_MAX)
      .filter((question) => QUESTION_TYPES.has(question.type))
      .map(({ name, type }): DnsQuestion => ({ name, type: type as DnsQuestion["type"] }));
    if (questions.length > 0) this.#handler.queried(questions, from.address);
  }

  #answered(packet: FullPacket, from: RemoteInfo): void {
    if (this.#isStopped) return;
    const records = [...(packet.answers ?? []), ...(packet.additionals ?? [])]
      .slice(0, RECORDS_MAX)
      .map(recordFromWire)
      .filter((record) => record !== undefined);
    if (records.length > 0) this.#handler.answered(records, from.address);
  }

  #fail(error: Error): void {
    if (this.#isStopped) return;
    this.stop();
    this.#handler.failed(error);
  }
}

/**
 * A socket of the library that can be closed at any time. The library starts an interval when its socket listens, also
 * when it was destroyed before that; so a close waits until then.
 */
class ManagedSocket {
  readonly socket: DnsSocket;
  #isReady = false;
  #isClosing = false;

  constructor(socket: DnsSocket, failed: (error: Error) => void) {
    this.socket = socket;
    socket.on("ready", () => {
      this.#isReady = true;
      if (this.#isClosing) socket.destroy();
    });
    socket.on("error", (error) => {
      this.#isReady = true;
      failed(error);
    });
    // Malformed packets of strangers, and interfaces that cannot do multicast: both are no reason to stop.
    socket.on("warning", () => {});
  }

  close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    if (this.#isReady) this.socket.destroy();
  }
}

/** A packet that could not be sent is like one that was lost: discovery repeats itself. */
function ignoreSendError(): void {}

/** The first address of each interface; further ones (the floating address, for example) would only send twice. */
function sendingAddresses(): readonly string[] {
  const addresses: string[] = [];
  for (const entries of Object.values(networkInterfaces())) {
    const first = entries?.find((entry) => entry.family === "IPv4" && !entry.internal);
    if (first !== undefined) addresses.push(first.address);
  }
  return addresses.length === 0 ? ["127.0.0.1"] : addresses;
}

/** Asking the system anew takes longer than all the rest of reading a record, and records come in bursts. */
const ADDRESSES_KEPT_MS = 1000;
let keptAddresses: readonly string[] = [];
let keptUntil = 0;

function localAddresses(): readonly string[] {
  const now = performance.now();
  if (now >= keptUntil) {
    keptAddresses = currentAddresses();
    keptUntil = now + ADDRESSES_KEPT_MS;
  }
  return keptAddresses;
}

/** IPv4 first; without loopback and without IPv6 addresses that only mean something on one interface. */
function currentAddresses(): readonly string[] {
  const [v4, v6]: [string[], string[]] = [[], []];
  for (const entries of Object.values(networkInterfaces())) {
    for (const { family, address, internal } of entries ?? []) {
      if (internal) continue;
      if (family === "IPv4") v4.push(address);
      else if (!address.toLowerCase().startsWith("fe80:")) v6.push(address);
    }
  }
  return [...v4, ...v6];
}
