import { ADDRESS_MUTANTS } from "./address-mutants.ts";
import { ALONE_MUTANTS } from "./alone-mutants.ts";
import { FOREIGN_MUTANTS } from "./foreign-mutants.ts";
import { MEMBERSHIP_MUTANTS } from "./membership-mutants.ts";
import { MERGE_MUTANTS } from "./merge-mutants.ts";
import type { Mutant } from "./mutate.ts";
import { NODE_MUTANTS } from "./node-mutants.ts";
import { RAFT_MUTANTS } from "./raft-mutants.ts";
import { READ_MUTANTS } from "./read-mutants.ts";
import { RELAY_MUTANTS } from "./relay-mutants.ts";
import { SESSION_MUTANTS } from "./session-mutants.ts";
import { SKEW_MUTANTS } from "./skew-mutants.ts";
import { TRANSFER_MUTANTS } from "./transfer-mutants.ts";

export { editsOf, type Mutant, mutate } from "./mutate.ts";

/** All planted bugs. */
export const MUTANTS: readonly Mutant[] = [
  ...NODE_MUTANTS,
  ...ADDRESS_MUTANTS,
  ...MEMBERSHIP_MUTANTS,
  ...MERGE_MUTANTS,
  ...FOREIGN_MUTANTS,
  ...SKEW_MUTANTS,
  ...TRANSFER_MUTANTS,
  ...ALONE_MUTANTS,
  ...READ_MUTANTS,
  ...RELAY_MUTANTS,
  ...SESSION_MUTANTS,
  ...RAFT_MUTANTS.map((mutant) => ({ ...mutant, load: "writes" }) as const),
];
