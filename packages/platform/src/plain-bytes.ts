/**
 * Node's buffers as the plain byte arrays that the ports promise.
 *
 * `slice` of a Buffer is a view, `slice` of a Uint8Array is a copy: code written for the ports would hold on to a
 * read buffer where it meant to take a copy.
 */

/** The same memory, without Buffer's own methods. */
export function plainBytes(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
