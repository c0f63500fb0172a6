/**
 * Who votes, and how that changes: joint consensus (paper section 6), learners (thesis 4.2.1).
 *
 * Scheme: the paper's append-time one, and only that. A server uses the newest configuration in its log, committed
 * or not, and falls back to the one before when that entry is overwritten. (etcd's apply-time scheme would need the
 * commit index on disk: a restarted server must not act on a configuration older than one it helped to commit.)
 * A configuration entry holds the whole configuration, so any one of them says everything.
 */

import { assert } from "./assert.ts";
import { ByteReader, ByteWriter, RaftFormatError } from "./bytes.ts";
import type { Configuration, ServerId } from "./types.ts";

/** Most servers in one list of a configuration. */
const SERVERS_MAX = 1024;
/** Half a character: two different ids with it would be one in UTF-8. */
const LONE_SURROGATE = /\p{Surrogate}/u;

export const EMPTY_CONFIGURATION: Configuration = { voters: [], votersOutgoing: [], learners: [] };

export function isJoint(configuration: Configuration): boolean {
  return configuration.votersOutgoing.length > 0;
}

/** True if `id` votes in either set. */
export function isVoter(configuration: Configuration, id: ServerId): boolean {
  return configuration.voters.includes(id) || configuration.votersOutgoing.includes(id);
}

export function isSoleVoter(configuration: Configuration, id: ServerId): boolean {
  return !isJoint(configuration) && configuration.voters.length === 1 && configuration.voters[0] === id;
}

/** Everyone who votes, each once. */
export function votersOf(configuration: Configuration): readonly ServerId[] {
  const { voters, votersOutgoing } = configuration;
  return isJoint(configuration) ? [...new Set([...voters, ...votersOutgoing])] : voters;
}

/** Everyone who gets the log, each once. */
export function serversOf(configuration: Configuration): ReadonlySet<ServerId> {
  return new Set([...configuration.voters, ...configuration.votersOutgoing, ...configuration.learners]);
}

/**
 * The first step from `current` (not joint) to a target: joint if the voters change, otherwise the target itself.
 * Undefined if there is nothing to change.
 *
 * @throws {RaftAssertionError} if the target has no voters, more than 1024 servers in a list, an id that is empty or not
 * well-formed text, a server twice, or one that is voter and learner.
 */
export function firstStep(
  current: Configuration,
  target: { readonly voters: readonly ServerId[]; readonly learners: readonly ServerId[] },
): Configuration | undefined {
  const voters = target.voters.toSorted();
  const learners = target.learners.toSorted();
  assert(!isJoint(current), "a change needs a configuration that is not joint");
  assert(voters.length > 0, "a configuration needs voters");
  assert(isListOfServers(voters) && isListOfServers(learners), "server ids must be distinct text, not empty");
  assert(!learners.some((id) => voters.includes(id)), "a server cannot be voter and learner");
  const votersOutgoing = current.voters.toSorted();
  if (sameList(voters, votersOutgoing)) {
    if (sameList(learners, current.learners.toSorted())) return undefined;
    return { voters, votersOutgoing: [], learners };
  }
  return { voters, votersOutgoing, learners };
}

/** The second step: leaves the joint configuration. */
export function leaveJoint(configuration: Configuration): Configuration {
  return { voters: configuration.voters, votersOutgoing: [], learners: configuration.learners };
}

export function sameConfiguration(a: Configuration, b: Configuration): boolean {
  return (
    sameList(a.voters.toSorted(), b.voters.toSorted()) &&
    sameList(a.votersOutgoing.toSorted(), b.votersOutgoing.toSorted()) &&
    sameList(a.learners.toSorted(), b.learners.toSorted())
  );
}

/** The data of a `configuration` entry. Equal configurations give equal bytes, whatever the order of their lists. */
export function encodeConfiguration(configuration: Configuration): Uint8Array {
  const writer = new ByteWriter();
  for (const list of [configuration.voters, configuration.votersOutgoing, configuration.learners]) {
    writer.varint(list.length);
    for (const id of list.toSorted()) writer.text(id);
  }
  return writer.finish();
}

/** The configuration again. @throws {RaftFormatError} if `bytes` are not what {@link encodeConfiguration} writes */
export function decodeConfiguration(bytes: Uint8Array): Configuration {
  const reader = new ByteReader(bytes);
  const configuration = {
    voters: readServers(reader),
    votersOutgoing: readServers(reader),
    learners: readServers(reader),
  };
  reader.end();
  return configuration;
}

function readServers(reader: ByteReader): ServerId[] {
  const count = reader.varint();
  if (count > SERVERS_MAX) throw new RaftFormatError(`Cannot decode configuration: ${count} servers`);
  const servers: ServerId[] = [];
  for (let i = 0; i < count; i++) servers.push(reader.text());
  const isInOrder = servers.every((id, i) => id !== "" && (i === 0 || (servers[i - 1] as string) < id));
  if (!isInOrder) throw new RaftFormatError("Cannot decode configuration: bad server list");
  return servers;
}

function isListOfServers(servers: readonly ServerId[]): boolean {
  const areTexts = servers.every((id) => id !== "" && !LONE_SURROGATE.test(id));
  return areTexts && servers.length <= SERVERS_MAX && new Set(servers).size === servers.length;
}

function sameList(a: readonly ServerId[], b: readonly ServerId[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}
