/**
 * What a listener tells every caller before anything is proved: whether an invitation may be used here, and with which salt
 * its code is to be stretched, or how long this caller has to wait.
 */

/** `salt` is 16 hexadecimal digits. */
export type Hint =
  | { readonly kind: "salt"; readonly salt: string }
  | { readonly kind: "wait"; readonly seconds: number };

const FORM = /^skein-join (?:salt=([0-9a-f]{16})|wait=(\d{1,5}))$/;

export function hintText(hint: Hint): string {
  return hint.kind === "salt" ? `skein-join salt=${hint.salt}` : `skein-join wait=${hint.seconds}`;
}

/** Undefined: nothing that this version understands; no invitation can be used there. */
export function parseHint(text: string | undefined): Hint | undefined {
  const [, salt, seconds] = FORM.exec(text ?? "") ?? [];
  if (salt !== undefined) return { kind: "salt", salt };
  return seconds === undefined ? undefined : { kind: "wait", seconds: Number(seconds) };
}
