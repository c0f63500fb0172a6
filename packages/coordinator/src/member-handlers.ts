/** What a node does with the frames that are about its log: Raft, proposals, repair, and what others tell who has none yet. */

import type { NodeId } from "@skein/kernel";
import { decodeRaftMessage } from "raft-js";
import type { MemberHandlers, StrangerHandlers } from "./control-traffic.ts";
import type { Arrival } from "./formation/arrival.ts";
import type { ControlFrame } from "./frames.ts";
import type { CoordinatorPorts } from "./options.ts";
import type { ProposalRoute } from "./proposals/proposal-route.ts";
import type { Driver } from "./replica/driver.ts";
import type { LeaderContact } from "./replica/leader-contact.ts";
import type { Mending } from "./replica/mending.ts";
import type { Retained } from "./retained/retained.ts";
import type { Sessions } from "./sessions/sessions.ts";

export interface LogHandlersPorts extends Pick<CoordinatorPorts, "clock"> {
  readonly driver: () => Driver | undefined;
  readonly mending: () => Mending | undefined;
  readonly route: () => ProposalRoute;
  readonly arrival: Arrival;
  readonly contact: LeaderContact;
  readonly sessions: () => Sessions;
  readonly retained: () => Retained;
  readonly send: (to: NodeId, frame: ControlFrame) => void;
}

export interface LogHandlers {
  /** Of this node's own cluster. */
  readonly members: Pick<
    MemberHandlers,
    | "raft"
    | "proposal"
    | "early"
    | "will"
    | "had"
    | "reach"
    | "reached"
    | "count"
    | "counted"
    | "outbox"
    | "written"
    | "repair"
    | "repaired"
    | "merge"
  >;
  readonly strangers: Pick<StrangerHandlers, "joined" | "early" | "will">;
}

export function logHandlers(ports: LogHandlersPorts): LogHandlers {
  const { clock, driver: current, mending, route, arrival, contact, sessions, retained, send } = ports;
  /** Kinds that wait for the replica. */
  const withDriver = (handle: (driver: Driver) => void): void => {
    const driver = current();
    if (driver !== undefined) handle(driver);
  };
  const members: LogHandlers["members"] = {
    raft: (from, frame) =>
      withDriver((driver) => {
        const message = decodeRaftMessage(frame.message);
        driver.step({ kind: "receive", from, message });
        contact.received(from, message, clock.monotonicMs());
      }),
    proposal: (from, { commands }) => withDriver((driver) => route().admit(driver, from, commands)),
    early: (from, { commands }) => sessions().early.heard(from, commands),
    will: (_, told) => sessions().early.heardWill(told),
    had: (_, { incarnation, seq, clientId }) => sessions().early.heardHad(incarnation, seq, clientId),
    reach: (from, { index }) => sessions().barrier.asked(from, index),
    reached: (from, { index }) => sessions().barrier.reached(from, index),
    count: (from, { cluster, request }) =>
      send(from, { kind: "counted", cluster, request, ...retained().proposed }),
    counted: (from, { request, incarnation, seq }) =>
      retained().heardProposed(from, request, { incarnation, seq }),
    outbox: (from, { request }) => sessions().outboxes.asked(from, request),
    written: (from, { request }) => sessions().outboxes.written(from, request),
    repair: (from, { cluster, index, term }) =>
      withDriver((driver) => {
        const missing = mending()?.missingAfter(index, term) ?? driver.missingAfter(index, term);
        send(from, { kind: "repaired", cluster, index, term, missing });
      }),
    repaired: (from, frame) => {
      arrival.repaired(from, frame);
      mending()?.answered(from, frame);
    },
    // Said before this node became a member of the sender's cluster.
    merge: () => {},
  };
  const strangers: LogHandlers["strangers"] = {
    joined: (_, { cluster }) => arrival.joined(cluster),
    early: (from, { commands }) => sessions().heardWithoutReplica((early) => early.heard(from, commands)),
    will: (_, told) => sessions().heardWithoutReplica((early) => early.heardWill(told)),
  };
  return { members, strangers };
}
