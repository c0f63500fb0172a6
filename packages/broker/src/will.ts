/** A Will Message and when it is due. Source: MQTT 5 sections 3.1.2.5 and 3.1.3.2.2. */

import type { ApplicationMessage } from "@skein/kernel";

export interface Will {
  readonly message: ApplicationMessage;
  /** Will Delay Interval: seconds between the loss of the connection and the publication. */
  readonly delaySeconds: number;
}

/** What becomes of the will when a connection ends. */
export type WillFate = "publish" | "discard";
