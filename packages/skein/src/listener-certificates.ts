/**
 * The certificates of a node's encrypted listeners: read when the node starts, read again when the operator says so.
 *
 * They outlive the listeners, which are opened later, and anew if the node becomes another one: a file that has become bad meanwhile
 * must not keep clients out. So one that cannot be used leaves the one before in its place.
 */

import type { Log } from "@skein/kernel";
import { ClientTls, readTlsMaterial, type TlsMaterial } from "@skein/platform";
import type { ListenerConfig, ListenerTls } from "./config/listener-config.ts";

export class ListenerCertificates {
  readonly #inUse = new Map<ListenerTls, ClientTls>();
  readonly #log: Log;

  /** @throws {SkeinError} ERR_SKEIN_CONFIG */
  constructor(listeners: readonly ListenerConfig[], log: Log) {
    this.#log = log;
    for (const { tls } of listeners)
      if (tls !== undefined) this.#inUse.set(tls, new ClientTls(this.#read(tls), tls.identity));
  }

  /** Undefined: that listener is not encrypted. */
  of({ tls }: ListenerConfig): ClientTls | undefined {
    return tls === undefined ? undefined : this.#inUse.get(tls);
  }

  /** Connections that are made live on. */
  reload(): void {
    if (this.#inUse.size === 0) this.#log.info({}, "no certificates to read again");
    for (const [files, clientTls] of this.#inUse) {
      const { certificate } = files;
      try {
        clientTls.replace(this.#read(files));
        this.#log.info({ certificate }, "certificate read again");
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        this.#log.error({ certificate, reason }, "certificate not read again, the one before stays in use");
      }
    }
  }

  #read(files: ListenerTls): TlsMaterial {
    const material = readTlsMaterial(files, Date.now());
    for (const warning of material.warnings) this.#log.warn({}, warning);
    return material;
  }
}
