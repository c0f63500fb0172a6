import fc from "fast-check";
import { expect, test } from "vitest";
import { electionResult, quorumValue, type Vote, voteResult } from "../src/quorum.ts";

const voters = fc.uniqueArray(fc.constantFrom(..."abcdefg"), { minLength: 1, maxLength: 7 });
const outgoing = fc.uniqueArray(fc.constantFrom(..."abcdefg"), { maxLength: 7 });

test("Raft §6: quorumValue() is the largest value that a majority of every voter set has reached", () => {
  fc.assert(
    fc.property(
      voters,
      outgoing,
      fc.array(fc.nat(9), { minLength: 7, maxLength: 7 }),
      (incoming, out, values) => {
        const reached = (id: string) => values["abcdefg".indexOf(id)]!;
        const isReached = (value: number) =>
          [incoming, out].every(
            (set) => set.length === 0 || 2 * set.filter((id) => reached(id) >= value).length > set.length,
          );
        const value = quorumValue({ voters: incoming, votersOutgoing: out, learners: [] }, reached);
        expect(isReached(value)).toBe(true);
        expect(isReached(value + 1)).toBe(false);
      },
    ),
  );
});

test("Raft §6: voteResult() is decided exactly when no further answer could change it", () => {
  const answers = fc.array(fc.constantFrom(true, false, undefined), { minLength: 7, maxLength: 7 });
  fc.assert(
    fc.property(voters, outgoing, answers, (incoming, out, given) => {
      const configuration = { voters: incoming, votersOutgoing: out, learners: [] };
      const votes = new Map<string, boolean>();
      [..."abcdefg"].forEach((id, i) => {
        if (given[i] !== undefined) votes.set(id, given[i]);
      });
      const wins = (missing: boolean) =>
        [incoming, out].every(
          (set) => set.length === 0 || 2 * set.filter((id) => votes.get(id) ?? missing).length > set.length,
        );
      const expected = wins(false) ? "won" : wins(true) ? "pending" : "lost";
      expect(voteResult(configuration, votes)).toBe(expected);
    }),
  );
});

test("an election is won by majorities that lost nothing, or by every voter; and lost when neither can come any more", () => {
  const answers = fc.array(fc.constantFrom<Vote | undefined>("granted", "ifAll", "refused", undefined), {
    minLength: 7,
    maxLength: 7,
  });
  fc.assert(
    fc.property(voters, outgoing, answers, (incoming, out, given) => {
      const configuration = { voters: incoming, votersOutgoing: out, learners: [] };
      const all = [...new Set([...incoming, ...out])];
      const vote = (id: string) => given["abcdefg".indexOf(id)];
      const votes = new Map(all.flatMap((id) => (vote(id) === undefined ? [] : [[id, vote(id)!] as const])));
      const wins = (missing: Vote) => {
        const of = (id: string) => vote(id) ?? missing;
        const isMajority = (set: readonly string[]) =>
          2 * set.filter((id) => of(id) === "granted").length > set.length;
        return (
          all.every((id) => of(id) !== "refused") ||
          [incoming, out].every((set) => set.length === 0 || isMajority(set))
        );
      };
      const expected = wins("refused") ? "won" : wins("granted") ? "pending" : "lost";
      expect(electionResult(configuration, votes)).toBe(expected);
    }),
    { numRuns: 1000 },
  );
});
