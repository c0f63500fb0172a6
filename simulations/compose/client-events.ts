/** What a client process is told and what it tells, as JSON: one line per event on its standard output. */

/** One client. */
export interface ClientPlan {
  readonly id: string;
  readonly role: "subscriber" | "publisher";
  /** The floating address or that of a node. */
  readonly host: string;
  /** The network namespace that it is in. */
  readonly room: string;
  /** The node it belongs to; undefined: whoever holds the address. */
  readonly node: string | undefined;
  readonly keepalive: number;
  readonly version: 4 | 5;
  /** Its session outlives its connection. */
  readonly isDurable: boolean;
  /** Of what it publishes. */
  readonly qos: 0 | 1 | 2;
  readonly isRetained: boolean;
}

/** `t` is milliseconds since 1970, `c` the client. */
export type ClientEvent =
  /** Connected, and subscribed if it is a subscriber. */
  | { readonly t: number; readonly c: string; readonly e: "up" | "down" }
  /** Publishing message `s` began, or was acknowledged (QoS 0: handed to the socket). */
  | { readonly t: number; readonly c: string; readonly e: "sent" | "acked"; readonly s: number }
  /** Message `s` of publisher `p` came. */
  | {
      readonly t: number;
      readonly c: string;
      readonly e: "got";
      readonly p: string;
      readonly s: number;
    };
