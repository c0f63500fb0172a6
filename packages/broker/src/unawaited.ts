/** For calls that take a Completion where nobody waits. */

import type { Completion } from "@skein/kernel";

export const UNAWAITED: Completion = { settle() {} };
