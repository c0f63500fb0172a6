/**
 * Finds, for a topic, everything that was filed under a matching filter; the answer is compiled once and cached.
 *
 * Filters without wildcards live in one flat map; only wildcard filters need the trie of levels. The owner gives a
 * `compile` function that turns the entries found for a topic into whatever its hot path wants to iterate, so that
 * per-message work (duplicates, groups, highest QoS) is done once per topic and change instead of once per message.
 * Any change empties the cache: changes are rare, messages are not.
 *
 * Source: MQTT 5 section 4.7; measurements in docs/decisions/0003.
 */

/** A level of the trie. Children are made on demand, so a leaf costs one small object. */
interface Level<Entry> {
  entries: Entry[] | undefined;
  children: Map<string, Level<Entry>> | undefined;
}

/** Topics whose compiled answer is kept. When full the cache starts anew, which bounds it against topic floods. */
const CACHED_TOPICS_MAX = 10_000;
/** The same for what is in the answers: many topics that many listen to would be many times many. */
const CACHED_ENTRIES_MAX = 200_000;

/** An index from Topic Filter to entries, and a cached map from topic to compiled answer. */
export class FilterIndex<Entry, Compiled> {
  readonly #compile: (entries: readonly Entry[], topic: string) => Compiled;
  readonly #exact = new Map<string, Entry[]>();
  readonly #root: Level<Entry> = { entries: undefined, children: undefined };
  readonly #cache = new Map<string, Compiled>();
  /** The answer given last, and to what: messages come in bursts of one topic. */
  #lastTopic: string | undefined;
  #last: Compiled | undefined;
  /** Entries that the answers in the cache were compiled from. */
  #cachedEntries = 0;

  constructor(compile: (entries: readonly Entry[], topic: string) => Compiled) {
    this.#compile = compile;
  }

  /** Files `entry` under `filter`, which the caller has found valid. */
  add(filter: string, entry: Entry): void {
    this.invalidate();
    if (!hasWildcard(filter)) {
      const entries = this.#exact.get(filter);
      if (entries === undefined) this.#exact.set(filter, [entry]);
      else entries.push(entry);
      return;
    }
    let level = this.#root;
    for (const name of filter.split("/")) {
      level.children ??= new Map();
      let child = level.children.get(name);
      if (child === undefined) {
        child = { entries: undefined, children: undefined };
        level.children.set(name, child);
      }
      level = child;
    }
    level.entries ??= [];
    level.entries.push(entry);
  }

  /** Takes one filing of `entry` under `filter` back. Returns false if there was none. */
  remove(filter: string, entry: Entry): boolean {
    this.invalidate();
    if (!hasWildcard(filter)) {
      const entries = this.#exact.get(filter);
      const removed = entries !== undefined && removeOne(entries, entry);
      if (entries?.length === 0) this.#exact.delete(filter);
      return removed;
    }
    return this.#removeFromTrie(this.#root, filter.split("/"), 0, entry);
  }

  /** The compiled answer for `topic`; the same object until the index changes. */
  match(topic: string): Compiled {
    if (topic === this.#lastTopic) return this.#last as Compiled;
    const compiled = this.#cache.get(topic) ?? this.#find(topic);
    this.#lastTopic = topic;
    this.#last = compiled;
    return compiled;
  }

  /** Forgets compiled answers, for owners whose `compile` depends on more than the entries. */
  invalidate(): void {
    this.#cache.clear();
    this.#cachedEntries = 0;
    this.#lastTopic = undefined;
    this.#last = undefined;
  }

  #find(topic: string): Compiled {
    const found: Entry[] = [];
    const exact = this.#exact.get(topic);
    if (exact !== undefined) found.push(...exact);
    collect(this.#root, topic.split("/"), 0, topic.startsWith("$"), found);
    const compiled = this.#compile(found, topic);
    if (this.#cache.size >= CACHED_TOPICS_MAX || this.#cachedEntries >= CACHED_ENTRIES_MAX) this.invalidate();
    this.#cache.set(topic, compiled);
    this.#cachedEntries += found.length;
    return compiled;
  }

  #removeFromTrie(level: Level<Entry>, names: readonly string[], depth: number, entry: Entry): boolean {
    const name = names[depth];
    if (name === undefined) {
      const removed = level.entries !== undefined && removeOne(level.entries, entry);
      if (level.entries?.length === 0) level.entries = undefined;
      return removed;
    }
    const child = level.children?.get(name);
    if (child === undefined) return false;
    const removed = this.#removeFromTrie(child, names, depth + 1, entry);
    if (child.entries === undefined && child.children === undefined) {
      level.children?.delete(name);
      if (level.children?.size === 0) level.children = undefined;
    }
    return removed;
  }
}

function collect<Entry>(
  level: Level<Entry>,
  names: readonly string[],
  depth: number,
  isSystemTopic: boolean,
  found: Entry[],
): void {
  const { children } = level;
  if (children === undefined) {
    if (depth === names.length && level.entries !== undefined) found.push(...level.entries);
    return;
  }
  const allowWildcard = depth > 0 || !isSystemTopic;
  if (allowWildcard) {
    // `a/#` also matches `a` itself: the multi-level wildcard includes the parent level [MQTT 5 section 4.7.1.2].
    const rest = children.get("#")?.entries;
    if (rest !== undefined) found.push(...rest);
  }
  const name = names[depth];
  if (name === undefined) {
    if (level.entries !== undefined) found.push(...level.entries);
    return;
  }
  const named = children.get(name);
  if (named !== undefined) collect(named, names, depth + 1, isSystemTopic, found);
  const single = allowWildcard ? children.get("+") : undefined;
  if (single !== undefined) collect(single, names, depth + 1, isSystemTopic, found);
}

function hasWildcard(filter: string): boolean {
  return filter.includes("+") || filter.includes("#");
}

function removeOne<Entry>(entries: Entry[], entry: Entry): boolean {
  const at = entries.indexOf(entry);
  if (at === -1) return false;
  entries.splice(at, 1);
  return true;
}
