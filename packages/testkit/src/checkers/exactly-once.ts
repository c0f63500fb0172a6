/**
 * P6 and the mesh's part in the other levels: QoS 2 arrives at most once in a session, QoS 0 at most once, and QoS 1 is
 * multiplied by nobody but a publisher that sent it again.
 *
 * Deliveries are counted by message and subscriber session. At QoS 2 the client itself drops what it got twice before
 * PUBREL, so every count above one is a broken promise. At QoS 1 a redelivery carries DUP; without DUP it was routed
 * twice. Retained replays are new messages each time and do not count. A will is a publish by the mesh. What was published before
 * two clusters became one is not counted: a session of both may get it from each (docs/merge.md).
 *
 * "At least once" is the other half: acknowledged-loss.ts. Source: MQTT 5 section 4.3; reference design, 5.4 (I4).
 */

import type { QoS } from "@skein/kernel";
import {
  type Checker,
  CheckFailure,
  type Observation,
  type PublishedPacket,
  type PublishedWill,
} from "../observations.ts";
import { ClusterWatch } from "./cluster-watch.ts";

interface Publish {
  readonly qos: QoS;
  /** How often the client has sent it. */
  sendings: number;
  /** Deliveries without DUP, by subscriber session. */
  readonly deliveries: Map<string, number>;
}

export class ExactlyOnce implements Checker {
  readonly name = "exactly once";
  readonly #publishes = new Map<string, Publish>();
  readonly #sessions = new Map<string, string>();
  readonly #clusters = new ClusterWatch();
  /** Published before all nodes belonged to one cluster. */
  readonly #excused = new Set<string>();

  observe(observation: Observation): void {
    if (this.#clusters.observe(observation)) for (const id of this.#publishes.keys()) this.#excused.add(id);
    if (observation.kind === "connected") this.#sessions.set(observation.client, observation.session);
    else if (observation.kind === "connectSent") this.#willCame(observation.will);
    else if (observation.kind === "publishSent") this.#sent(observation.packet);
    else if (observation.kind === "delivered" && !observation.retain) this.#delivered(observation);
  }

  /** The mesh publishes it, once if at all. */
  #willCame(will: PublishedWill | undefined): void {
    if (will !== undefined) this.#sent(will);
  }

  #sent({ payloadId, qos }: PublishedPacket): void {
    const known = this.#publishes.get(payloadId);
    if (known !== undefined) known.sendings++;
    else this.#publishes.set(payloadId, { qos, sendings: 1, deliveries: new Map() });
  }

  #delivered({ client, payloadId, qos, dup, topic, at }: Extract<Observation, { kind: "delivered" }>): void {
    if (payloadId === "" || (qos === 1 && dup)) return;
    const publish = this.#publishes.get(payloadId);
    if (publish === undefined) {
      throw new CheckFailure(this.name, `${client} got "${payloadId}" on "${topic}", which nobody published`);
    }
    const session = `${client} ${this.#sessions.get(client) ?? ""}`;
    const count = (publish.deliveries.get(session) ?? 0) + 1;
    publish.deliveries.set(session, count);
    // A publisher at QoS 1 may repeat itself, and each repetition is a message of its own.
    const allowed = publish.qos === 1 ? publish.sendings : 1;
    if (count > allowed && !this.#clusters.isSplit && !this.#excused.has(payloadId)) {
      throw new CheckFailure(
        this.name,
        `${client} got ${payloadId} (published with QoS ${publish.qos}, sent ${publish.sendings} times) for the ` +
          `${count}. time in one session, with QoS ${qos}, at ${at} ms`,
      );
    }
  }
}
