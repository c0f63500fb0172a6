/**
 * What strangers published, made safe for a terminal: a payload must not move the cursor or change a title.
 *
 * Only for terminals; files and pipes get the bytes as they are.
 */

/** `text` with control characters, tab and line feed aside, written as `\xNN`. */
export function printable(text: string): string {
  let safe = "";
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const isControl = (code < 0x20 && code !== 0x09 && code !== 0x0a) || (code >= 0x7f && code < 0xa0);
    safe += isControl ? `\\x${code.toString(16).padStart(2, "0")}` : character;
  }
  return safe;
}
