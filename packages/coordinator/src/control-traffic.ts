/**
 * Control frames in and out: decoded, held against this node's cluster, and handed to who deals with their kind.
 *
 * Frames name the cluster they are about. One of another cluster is refused before anything else, except for the few kinds
 * that pass between clusters: those say themselves whether they are meant for this node. Kinds that this node does not know
 * come from newer nodes: they are counted and otherwise ignored, so that versions can be mixed.
 */

import { type ClusterId, type NodeId, SkeinError } from "@skein/kernel";
import { RaftFormatError } from "raft-js";
import { type ControlFrame, decodeFrame, encodeFrame } from "./frames.ts";
import type { PeerFaults } from "./peer-faults.ts";

type Kind = ControlFrame["kind"];
type FrameOf<K extends Kind> = Extract<ControlFrame, { readonly kind: K }>;

/** What is done with each kind of frame of this node's own cluster. `bytes`, the whole frame, are valid during the call only. */
export type MemberHandlers = {
  readonly [K in Kind]: (from: NodeId, frame: FrameOf<K>, bytes: Uint8Array) => void;
};

/** Likewise for frames of another cluster, or while this node is in none. False: it is not meant for this node. */
export type StrangerHandlers = {
  readonly [K in Kind]?: (from: NodeId, frame: FrameOf<K>) => boolean;
};

export interface ControlTrafficPorts {
  /** This node's cluster, as of now. */
  readonly cluster: () => ClusterId | undefined;
  readonly send: (to: NodeId, bytes: Uint8Array) => void;
  readonly faults: PeerFaults;
  readonly members: MemberHandlers;
  readonly strangers: StrangerHandlers;
}

export class ControlTraffic {
  readonly #ports: ControlTrafficPorts;

  constructor(ports: ControlTrafficPorts) {
    this.#ports = ports;
  }

  /** To a node of the same cluster; nothing is sent while this node is in none. */
  sendMember(to: NodeId, frame: (cluster: ClusterId) => ControlFrame): void {
    const cluster = this.#ports.cluster();
    if (cluster !== undefined) this.send(to, frame(cluster));
  }

  send(to: NodeId, frame: ControlFrame): void {
    this.#ports.send(to, encodeFrame(frame));
  }

  /** `bytes` are valid during the call only. Whatever they hold, this never throws. */
  receive(from: NodeId, bytes: Uint8Array): void {
    const { faults } = this.#ports;
    try {
      const frame = decodeFrame(bytes);
      if (frame === undefined) faults.unknown();
      else this.#handle(from, frame, bytes);
    } catch (error) {
      if (!(error instanceof SkeinError) && !(error instanceof RaftFormatError)) throw error;
      faults.malformed(from, error.message);
    }
  }

  #handle<K extends Kind>(from: NodeId, frame: FrameOf<K>, bytes: Uint8Array): void {
    const { members, strangers, faults } = this.#ports;
    const kind: K = frame.kind as K;
    const cluster = this.#ports.cluster();
    if (frame.cluster === cluster) members[kind](from, frame, bytes);
    // A fresh node has no cluster that could be mixed up with another: what is not for it says nothing about its peers.
    else if (strangers[kind]?.(from, frame) !== true && cluster !== undefined) faults.foreign(from);
  }
}
