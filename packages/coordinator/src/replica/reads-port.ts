/** What a replica tells of linearizable reads, by the numbers that they were asked with. Not called from within the call that asked. */
export interface ReadsPort {
  /** A quorum has answered them, and this replica does not hold yet what was committed before they were asked. */
  readonly answered: (requests: readonly number[]) => void;
  /** They see everything that was committed before they were asked. */
  readonly confirmed: (requests: readonly number[]) => void;
}
