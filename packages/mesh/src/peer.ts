/**
 * Everything this node knows about its conversation with one other node.
 *
 * The link comes and goes; the peer with its numbered streams stays. Fields are grouped by the part that writes them;
 * the forwarder reads `isLive` and `isReachable` for every message, so they are plain fields kept up to date.
 */

import type { Incarnation, NodeId } from "@skein/kernel";
import type { Link } from "./link/link.ts";
import { InboundStream, OutboundStream } from "./link/stream-numbering.ts";

export class Peer {
  readonly id: NodeId;
  incarnation: Incarnation;

  /** The link to it, direct or through a relay; undefined while there is none. */
  link: Link | undefined = undefined;
  /** It has had a link and has not been declared dead or left since: what must arrive is kept for it. */
  isReachable = false;
  /** It has a link and is not suspect: QoS 0 and shared subscriptions are sent to it. Implies isReachable. */
  isLive = false;

  readonly outbound = new OutboundStream();
  readonly inbound = new InboundStream();
  /** A frame that wants an acknowledgement came since the last write. */
  isDataAckDue = false;

  /** Version of this node's interest rows it is known to hold. */
  interestAcked = 0;
  /** Its rows have changed since the last write. */
  isInterestAckDue = false;
  /** All its rows were asked for and have not come yet. */
  isPulling = false;

  constructor(id: NodeId, incarnation: Incarnation) {
    this.id = id;
    this.incarnation = incarnation;
  }
}
