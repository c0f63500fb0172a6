/** CONNECT byte by byte, whatever is wrong with it. */

/** Bytes of a string that is not UTF-8, with its length before it. */
export const NOT_UTF8: readonly number[] = [0, 2, 0xc3, 0x28];

/**
 * A CONNECT of `version` with these flags, no keep-alive and, for 5.0, no properties. Fields of the payload follow: texts
 * get their length before them, bytes stand for themselves.
 */
export function rawConnect(
  version: 4 | 5,
  flags: number,
  ...fields: readonly (string | readonly number[])[]
): number[] {
  const payload = fields.flatMap((field) => (typeof field === "string" ? text(field) : field));
  const body = [...text("MQTT"), version, flags, 0, 0, ...(version === 5 ? [0] : []), ...payload];
  return [0x10, body.length, ...body];
}

function text(value: string): number[] {
  const bytes = Buffer.from(value);
  return [bytes.length >> 8, bytes.length & 0xff, ...bytes];
}
