/**
 * What a Topic Filter is, which topics it matches and which other filters it covers.
 *
 * Broker, mesh and coordinator all need exactly the same answer, so it stands here once
 * (docs/decisions/0003). Source: MQTT 5 section 4.7 (topics), 4.8.2 (shared subscriptions).
 */

/** Most levels a topic or filter may have; deeper ones are refused as invalid. Bounds recursion in the index. */
export const TOPIC_LEVELS_MAX = 128;

const HASH = "#".charCodeAt(0);
const PLUS = "+".charCodeAt(0);
const SLASH = "/".charCodeAt(0);

/** The parts of `$share/<name>/<filter>`. */
export interface SharedFilter {
  readonly shareName: string;
  readonly filter: string;
}

/** Whether `topic` may stand in a PUBLISH: not empty, no wildcard, no U+0000 [MQTT-3.3.2-2] [MQTT-4.7.3-1] [MQTT-4.7.3-2]. */
export function isValidTopicName(topic: string): boolean {
  return isBounded(topic) && !topic.includes("+") && !topic.includes("#");
}

/** Whether `filter` (without a `$share` prefix) is well formed [MQTT-4.7.1-1] [MQTT-4.7.1-2]. */
export function isValidTopicFilter(filter: string): boolean {
  if (!isBounded(filter)) return false;
  const levels = filter.split("/");
  return levels.every((level, at) => {
    if (level === "#") return at === levels.length - 1;
    return level === "+" || (!level.includes("+") && !level.includes("#"));
  });
}

/**
 * Splits `$share/<name>/<filter>`; undefined for an ordinary filter; "invalid" where the prefix is there and the
 * rest is wrong [MQTT-4.8.2-1] [MQTT-4.8.2-2].
 */
export function parseSharedFilter(filter: string): SharedFilter | "invalid" | undefined {
  if (filter !== "$share" && !filter.startsWith("$share/")) return undefined;
  const nameEnd = filter.indexOf("/", 7);
  if (nameEnd <= 7) return "invalid";
  const shareName = filter.slice(7, nameEnd);
  const rest = filter.slice(nameEnd + 1);
  if (shareName.includes("+") || shareName.includes("#") || !isValidTopicFilter(rest)) return "invalid";
  return { shareName, filter: rest };
}

/** Whether the valid `filter` matches `topic`. Leading wildcards do not match topics that begin with `$` [MQTT-4.7.2-1]. */
export function filterMatches(filter: string, topic: string): boolean {
  if (topic.startsWith("$") && (filter.startsWith("+") || filter.startsWith("#"))) return false;
  let at = 0;
  for (let i = 0; i < filter.length; i++) {
    const letter = filter.charCodeAt(i);
    if (letter === HASH) return true;
    // `a/#` includes `a` itself [MQTT 5 section 4.7.1.2].
    if (at === topic.length && letter === SLASH) return filter.charCodeAt(i + 1) === HASH;
    if (letter === PLUS) at = levelEnd(topic, at);
    else if (topic.charCodeAt(at++) !== letter) return false;
  }
  return at === topic.length;
}

/** Whether every topic that `inner` matches is matched by `outer` too (`a/#` covers `a/b`, `a/+` and `a`). */
export function filterCovers(outer: string, inner: string): boolean {
  if (inner.startsWith("$") && (outer.startsWith("+") || outer.startsWith("#"))) return false;
  return levelsCover(outer.split("/"), inner.split("/"));
}

function levelEnd(topic: string, at: number): number {
  const end = topic.indexOf("/", at);
  return end === -1 ? topic.length : end;
}

function levelsCover(outer: readonly string[], inner: readonly string[]): boolean {
  for (let at = 0; at < outer.length; at++) {
    const level = outer[at];
    if (level === "#") return true;
    if (at >= inner.length || inner[at] === "#") return false;
    if (level !== "+" && level !== inner[at]) return false;
  }
  return outer.length === inner.length;
}

function isBounded(text: string): boolean {
  if (text.length === 0 || text.includes("\u0000")) return false;
  let levels = 1;
  for (let at = text.indexOf("/"); at !== -1; at = text.indexOf("/", at + 1)) levels++;
  return levels <= TOPIC_LEVELS_MAX;
}
