/**
 * Which part of the mesh a frame of an established link is for.
 *
 * Types that this node does not know are passed over: a newer peer may have more to say.
 */

import type { NodeId } from "@skein/kernel";
import type { Forwarder } from "./forwarding/forwarder.ts";
import type { InterestExchange } from "./interest/interest-exchange.ts";
import type { Link } from "./link/link.ts";
import type { Gossip } from "./membership/gossip.ts";
import { Echo, FrameType } from "./messages.ts";
import type { Peer } from "./peer.ts";
import type { Relaying } from "./relay/relaying.ts";

export interface FrameReaders {
  readonly forwarder: Forwarder;
  readonly gossip: Gossip;
  readonly interest: InterestExchange;
  readonly relaying: Relaying;
  readonly receiveControl: (from: NodeId, bytes: Uint8Array) => void;
  readonly receiveAddress: (from: NodeId, bytes: Uint8Array) => void;
  joining(from: NodeId, body: Uint8Array): void;
  left(peer: Peer): void;
  /** It has answered a heartbeat that asked for an echo. */
  echoed(peer: Peer, link: Link): void;
  unknown(): void;
}

/** `body` is valid during the call only. @throws {SkeinError} ERR_SKEIN_MALFORMED */
export function giveFrame(to: FrameReaders, peer: Peer, link: Link, type: number, body: Uint8Array): void {
  switch (type) {
    case FrameType.heartbeat:
      if (body[0] === Echo.request) {
        link.beginFrame(FrameType.heartbeat).u8(Echo.answer);
        link.endFrame();
      } else if (body[0] === Echo.answer) to.echoed(peer, link);
      break;
    case FrameType.data:
      to.forwarder.receiveData(peer, link, body);
      break;
    case FrameType.publish:
      to.forwarder.receivePackets(peer, link, 4, body);
      break;
    case FrameType.publish5:
      to.forwarder.receivePackets(peer, link, 5, body);
      break;
    case FrameType.dataAck:
      to.forwarder.receiveAck(peer, body);
      break;
    case FrameType.return:
      to.forwarder.receiveReturn(peer, link, body);
      break;
    case FrameType.control:
      to.receiveControl(peer.id, body);
      break;
    case FrameType.address:
      // All is told again over a link that replaces another one; what still comes over that one is older.
      if (peer.link === link) to.receiveAddress(peer.id, body);
      break;
    case FrameType.members:
      to.gossip.receive(peer, link, body);
      break;
    case FrameType.interestDelta:
      to.interest.receiveDelta(peer, link, body);
      break;
    case FrameType.interestRows:
      to.interest.receiveRows(peer, link, body);
      break;
    case FrameType.interestPull:
      to.interest.receivePull(link, body);
      break;
    case FrameType.interestAck:
      to.interest.receiveAck(peer, body);
      break;
    case FrameType.relay:
      to.relaying.receive(peer.id, link, body);
      break;
    case FrameType.joining:
      to.joining(peer.id, body);
      break;
    case FrameType.left:
      to.left(peer);
      break;
    default:
      to.unknown();
  }
}
