/**
 * Multicast DNS as datagrams of decoded records. What to ask, announce and believe is the mesh's business; the
 * socket, port 5353 shared with other responders, and the wire codec are the platform's.
 *
 * Source: RFC 6762 (multicast DNS), RFC 6763 (DNS-SD).
 */

export type DnsRecord =
  | { readonly type: "PTR"; readonly name: string; readonly ttlSeconds: number; readonly target: string }
  | {
      readonly type: "SRV";
      readonly name: string;
      readonly ttlSeconds: number;
      readonly target: string;
      readonly port: number;
    }
  | {
      readonly type: "TXT";
      readonly name: string;
      readonly ttlSeconds: number;
      /** `key=value` strings in order. */
      readonly strings: readonly string[];
    }
  | {
      readonly type: "A" | "AAAA";
      readonly name: string;
      readonly ttlSeconds: number;
      readonly address: string;
    };

export interface DnsQuestion {
  readonly type: "PTR" | "SRV" | "TXT" | "A" | "AAAA" | "ANY";
  readonly name: string;
}

export interface DnsHandler {
  queried(questions: readonly DnsQuestion[], fromAddress: string): void;
  /** Answers and additional records of one response, in packet order. */
  answered(records: readonly DnsRecord[], fromAddress: string): void;
  /** The socket could not be used (port, permission, no interface); discovery goes on without it. */
  failed(error: Error): void;
}

export interface MulticastDns {
  start(handler: DnsHandler): void;
  query(questions: readonly DnsQuestion[]): void;
  respond(records: readonly DnsRecord[]): void;
  /** This machine's own addresses, without loopback. */
  localAddresses(): readonly string[];
  /** This machine's own name, which it answers for already. */
  hostName(): string;
  stop(): void;
}
