/**
 * The first entry of a Map that is used as a queue: entries are added at its end and may be taken out anywhere.
 *
 * A fresh iterator passes over everything that was deleted at the front, so asking for the first entry of a hundred thousand, one
 * after the other, takes time by the square of that. One iterator that stays where it is does not. (An entry that is first, deleted and
 * set again may keep its place.)
 */
export class MapFront<Key extends NonNullable<unknown>, Value> {
  readonly #map: ReadonlyMap<Key, Value>;
  #keys: MapIterator<Key> | undefined;
  #first: Key | undefined;

  constructor(map: ReadonlyMap<Key, Value>) {
    this.#map = map;
  }

  /** Key of the first entry; undefined: the map is empty. */
  get key(): Key | undefined {
    while (this.#map.size > 0) {
      if (this.#first !== undefined && this.#map.has(this.#first)) return this.#first;
      this.#keys ??= this.#map.keys();
      const next = this.#keys.next();
      // At its end an iterator stays there, whatever is added later.
      if (next.done === true) this.#keys = undefined;
      else this.#first = next.value;
    }
    this.#keys = undefined;
    this.#first = undefined;
    return undefined;
  }
}
