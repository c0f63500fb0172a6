/** Since when this node has seen the same coordinator and the same holder of the address. */

import type { MonotonicMs } from "@skein/kernel";
import type { MeshView } from "../events/mesh-view.ts";

export class Since {
  #coordinator: string | undefined;
  #coordinatorAt: MonotonicMs | undefined;
  #holder: string | undefined;
  #holderAt: MonotonicMs | undefined;

  observe(view: MeshView, now: MonotonicMs): void {
    const coordinator = view.hasQuorum ? view.coordinator : undefined;
    if (coordinator !== this.#coordinator) this.#coordinatorAt = now;
    if (view.holder !== this.#holder) this.#holderAt = now;
    this.#coordinator = coordinator;
    this.#holder = view.holder;
  }

  /** Undefined: `node` is not the coordinator that was seen last. */
  coordinator(node: string | undefined): MonotonicMs | undefined {
    return node === this.#coordinator ? this.#coordinatorAt : undefined;
  }

  holder(node: string | undefined): MonotonicMs | undefined {
    return node === this.#holder ? this.#holderAt : undefined;
  }
}
