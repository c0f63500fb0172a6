/** What the coordinator carries out and then answers, for whoever waits for it. */

import { SkeinError } from "@skein/kernel";

/** An action of the coordinator as a promise. @throws {SkeinError} ERR_SKEIN_REFUSED with its sentence */
export function settled(act: (done: (error: string | undefined) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    act((error) => {
      if (error === undefined) resolve();
      else reject(new SkeinError("ERR_SKEIN_REFUSED", error));
    });
  });
}
