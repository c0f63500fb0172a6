/** Unguessable bytes from the operating system. */

import { randomBytes } from "node:crypto";
import type { RandomSource } from "@skein/kernel";

export const systemRandom: RandomSource = { bytes: (count) => new Uint8Array(randomBytes(count)) };
