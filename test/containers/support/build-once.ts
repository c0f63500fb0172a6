/** Builds the image once for all container tests of a run, if there is an engine. */

import { buildImage, findEngine } from "./engine.ts";

export async function setup(): Promise<void> {
  if ((await findEngine()) !== undefined) await buildImage();
}
