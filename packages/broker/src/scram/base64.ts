/** Base64 with padding, which the cores would otherwise have to borrow from Node. Source: RFC 4648 section 4. */

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(at, at + 3);
    const bits = (a << 16) | (b << 8) | c;
    const letters = Math.min(4, bytes.length - at + 1);
    for (let i = 0; i < 4; i++) text += i < letters ? LETTERS[(bits >> (18 - 6 * i)) & 63] : "=";
  }
  return text;
}

/** Undefined: `text` is not exactly what {@link encodeBase64} writes. */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const value = i < text.length - padding ? LETTERS.indexOf(text[i] as string) : 0;
    if (value < 0) return undefined;
    bits = (bits << 6) | value;
    if (i % 4 !== 3) continue;
    for (let part = 0; part < 3; part++) bytes[(i >> 2) * 3 + part] = (bits >> (16 - 8 * part)) & 0xff;
    bits = 0;
  }
  return encodeBase64(bytes) === text ? bytes : undefined;
}
