/** Who takes part in a run: publishers, subscribers, writers of retained messages, clients with a will, and who watches them. */

import { Mortal } from "./clients/mortal.ts";
import { Publisher, topicOf } from "./clients/publisher.ts";
import { RetainedWriter } from "./clients/retained-writer.ts";
import type { RoamingClient, RoamingOptions, Surroundings } from "./clients/roaming-client.ts";
import { Subscriber } from "./clients/subscriber.ts";
import { Watcher } from "./clients/watcher.ts";
import { MessageLedger, type PublisherEntry, type SubscriberEntry } from "./ledger/message-ledger.ts";
import { RetainedLedger } from "./ledger/retained-ledger.ts";
import { SharedLedger } from "./ledger/shared-ledger.ts";
import { WillLedger } from "./ledger/will-ledger.ts";
import type { Settings } from "./settings.ts";

const WATCHERS = 2;
/** A client that stays away for good stays a little longer than a broker may wait with its will. */
const LONGER_MS = 2000;
/** Once a run has all its clients it waits for at most this long for one that is not connected yet. */
const GATHER_MAX_MS = 60_000;

export interface Cast {
  readonly messages: MessageLedger;
  readonly shared: SharedLedger;
  readonly retained: RetainedLedger;
  readonly wills: WillLedger;
  readonly publishers: readonly Publisher[];
  readonly subscribers: readonly Subscriber[];
  /** Members of one shared subscription. */
  readonly sharers: readonly Subscriber[];
  readonly writers: readonly RetainedWriter[];
  readonly mortals: readonly Mortal[];
  readonly watchers: readonly Watcher[];
}

/** Makes them; nobody is connected. `run`: what their identifiers begin with; `prefix`: their topics. */
export function castOf(settings: Settings, run: string, prefix: string, around: Surroundings): Cast {
  const options = (role: string, at: number, isKept: boolean): RoamingOptions => {
    return { id: `${run}-${role}-${at}`, version: at % 4 === 3 ? 4 : 5, isKept, broker: at };
  };
  const publisherEntries = publisherEntriesOf(settings, run);
  const subscriberEntries = subscriberEntriesOf(settings, run, publisherEntries.length);
  const messages = new MessageLedger(publisherEntries, subscriberEntries);
  const sharerIds = Array.from({ length: settings.sharers }, (_, at) => `${run}-share-${at}`);
  const shared = new SharedLedger(messages, sharerIds);
  const everything = [`$share/${run}/${topicOf(prefix, "+", "+")}`];
  const retained = new RetainedLedger();
  const watcherIds = Array.from({ length: WATCHERS }, (_, at) => `${run}-watch-${at}`);
  const graceMs = settings.willGraceSeconds * 1000;
  const wills = new WillLedger(watcherIds, graceMs);
  return {
    messages,
    shared,
    retained,
    wills,
    publishers: publisherEntries.map((entry, at) => {
      // A QoS 1 publisher is a simple device without a session; exactly once needs one.
      const own = { ...options("pub", at, entry.qos === 2), id: entry.name };
      return new Publisher(at, entry, own, prefix, settings.payloadBytes, messages, around);
    }),
    subscribers: subscriberEntries.map((entry, at) => {
      const own = { ...options("sub", at, true), id: entry.name };
      const filters = entry.hears.map((from) => topicOf(prefix, publisherEntries[from]?.name ?? "", "+"));
      return new Subscriber(at, filters, entry.qos, own, messages, around);
    }),
    sharers: sharerIds.map((id, at) => {
      return new Subscriber(at, everything, 2, { ...options("share", at, true), id }, shared, around);
    }),
    writers: Array.from({ length: settings.writers }, (_, at) => {
      return new RetainedWriter(options("kept", at, false), prefix, retained, around);
    }),
    mortals: Array.from({ length: settings.wills }, (_, at) => {
      return new Mortal(options("will", at, false), prefix, graceMs + LONGER_MS, wills, around);
    }),
    watchers: watcherIds.map((id, at) => {
      const own = { ...options("watch", at, true), id, isFaithful: true };
      return new Watcher(own, prefix, wills, around);
    }),
  };
}

function publisherEntriesOf(
  { publishersQos1, publishersQos2 }: Settings,
  run: string,
): readonly PublisherEntry[] {
  const total = publishersQos1 + publishersQos2;
  return Array.from({ length: total }, (_, at) => {
    return { name: `${run}-pub-${at}`, qos: at < publishersQos1 ? 1 : 2 };
  });
}

/** Each publisher is heard by `fanOut` subscribers of both kinds of QoS. */
function subscriberEntriesOf(
  { subscribers, fanOut }: Settings,
  run: string,
  publishers: number,
): readonly SubscriberEntry[] {
  const stride = Math.max(1, Math.floor(subscribers / fanOut));
  const hears: number[][] = Array.from({ length: subscribers }, () => []);
  for (let publisher = 0; publisher < publishers; publisher += 1) {
    for (let copy = 0; copy < fanOut; copy += 1) {
      hears[(publisher + copy * stride) % subscribers]?.push(publisher);
    }
  }
  return hears.map((publishersHeard, at) => {
    const qos = Math.floor(at / stride) % 2 === 0 ? 2 : 1;
    return { name: `${run}-sub-${at}`, qos, hears: publishersHeard };
  });
}

export function clientsOf(cast: Cast): readonly RoamingClient[] {
  const { publishers, subscribers, sharers, writers, mortals, watchers } = cast;
  return [...subscribers, ...sharers, ...watchers, ...publishers, ...writers, ...mortals].map(
    ({ client }) => client,
  );
}

/** Connects them all, who hears before who speaks. @throws {Error} if somebody is not let in, or not granted what it asks for */
export async function gather(cast: Cast): Promise<void> {
  let late: NodeJS.Timeout | undefined;
  const tooLate = new Promise<never>((_, reject) => {
    late = setTimeout(() => {
      const absent = clientsOf(cast).filter(({ isReady }) => !isReady);
      const names = absent.map(({ id, broker }) => `${id} at ${broker}`).join(", ");
      reject(new Error(`Not everybody is connected and subscribed after ${GATHER_MAX_MS} ms: ${names}`));
    }, GATHER_MAX_MS);
  });
  const hearers = [...cast.subscribers, ...cast.sharers, ...cast.watchers];
  try {
    await Promise.race([Promise.all(hearers.map((each) => each.start())), tooLate]);
  } finally {
    clearTimeout(late);
  }
  for (const { client } of [...cast.publishers, ...cast.writers]) client.come();
  for (const mortal of cast.mortals) mortal.start();
}
