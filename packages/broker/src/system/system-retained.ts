/** The retained store as subscribers see it: that of the mesh, and the node's own `$SYS` in the place of whatever it has there. */

import type { ApplicationMessage, Completion } from "@skein/kernel";
import type { RetainedReader, RetainedStore, RetainedView } from "../ports.ts";
import { isSystemTopic } from "./system-topics.ts";

export class SystemRetained implements RetainedStore {
  readonly #mesh: RetainedStore;
  readonly #system: RetainedView;

  constructor(mesh: RetainedStore, system: RetainedView) {
    this.#mesh = mesh;
    this.#system = system;
  }

  get count(): number {
    return this.#mesh.count;
  }

  get bytes(): number {
    return this.#mesh.bytes;
  }

  put(message: ApplicationMessage, done: Completion | undefined): number {
    return this.#mesh.put(message, done);
  }

  read(reader: RetainedReader): void {
    this.#mesh.read({
      mayRead: (view) => {
        reader.mayRead({
          match: (filter, visit) => (isSystemTopic(filter) ? this.#system : view).match(filter, visit),
        });
      },
    });
  }
}
