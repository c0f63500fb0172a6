/**
 * The code that a person reads on one screen and types at another: five words of a list of 2048, so 55 bits.
 *
 * The list is the English one of BIP39: common words, no two with the same first four letters, so a word is known by them.
 * Capitals, spaces, hyphens and commas between the words do not matter. A word that is not in the list is answered with
 * the one that was probably meant; words that are in the list but not in the code nobody can tell from the right ones.
 *
 * Source: BIP39 (word list), architecture.md section 7.
 */

import { wordlist } from "@scure/bip39/wordlists/english.js";
import type { RandomSource } from "@skein/kernel";
import { Problem } from "../config/addresses.ts";
import { nearestName } from "../config/nearest-name.ts";

const CODE_WORDS = 5;
const BITS_PER_WORD = 11;
/** What is longer is no slip of the finger: the longest word has 8 letters. */
const LETTERS_MAX = 12;
/** Letters that name a word of the list. */
const PREFIX_LETTERS = 4;

/** A code that nobody can guess: each word is 11 bits of the system's generator. */
export function newCode(random: RandomSource): string {
  const bytes = random.bytes(2 * CODE_WORDS);
  const words = Array.from({ length: CODE_WORDS }, (_, at) => {
    // 2048 divides 65536: every word is as likely as any other.
    const number = (((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0)) & (2 ** BITS_PER_WORD - 1);
    return wordlist[number] ?? "";
  });
  return words.join("-");
}

/** The code that `text` stands for, in its one spelling, or what is wrong with it. */
export function parseCode(text: string): string | Problem {
  const typed = text
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => word !== "");
  const words: string[] = [];
  for (const word of typed.slice(0, 2 * CODE_WORDS)) {
    const known = wordOf(word);
    if (known === undefined) return unknownWord(word);
    words.push(known);
  }
  if (words.length === CODE_WORDS) return words.join("-");
  return new Problem(`it has ${words.length} words, and a code has ${CODE_WORDS}, such as ${EXAMPLE}`);
}

const EXAMPLE = "maple-ocean-river-table-dove";

/** The word itself, or the one that begins with these letters if there is no other. */
function wordOf(typed: string): string | undefined {
  if (wordlist.includes(typed)) return typed;
  if (typed.length < PREFIX_LETTERS) return undefined;
  const candidates = wordlist.filter((word) => word.startsWith(typed));
  return candidates.length === 1 ? candidates[0] : undefined;
}

function unknownWord(word: string): Problem {
  const nearest = word.length > LETTERS_MAX ? undefined : nearestName(word, wordlist);
  const hint = nearest === undefined ? "look at the code again" : `did you mean "${nearest}"?`;
  return new Problem(`"${word}" is not a word of any code (${hint})`);
}
