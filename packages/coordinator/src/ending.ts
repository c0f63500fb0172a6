/**
 * How the coordinator's run ends: asked to stop, its disk failed, or this node becomes another one. Each end comes once, hands
 * over what others need while there is a way to them, and leaves a closed journal.
 */

import {
  type Clock,
  type Disk,
  type DiskDone,
  type Incarnation,
  type Log,
  type RandomSource,
  SkeinError,
} from "@skein/kernel";
import { decideFork, type Fork } from "./formation/fork.ts";
import { countStarts, replaceIdentity } from "./formation/identity.ts";
import { HandOver } from "./membership/hand-over.ts";
import type { ActionDone } from "./options.ts";
import type { DiskFailures } from "./replica/disk-failures.ts";
import type { Driver } from "./replica/driver.ts";

const STOPPING = "This node is stopping.";

export interface EndingPorts {
  readonly clock: Clock;
  readonly disk: Disk;
  readonly random: RandomSource;
  readonly log: Log;
  /** Undefined while this node is no member. */
  readonly driver: () => Driver | undefined;
  /** Nothing more is done, received or told from now on. Called once. */
  readonly halt: () => void;
  /** This process must not go on (CoordinatorPorts). */
  readonly fatal: (error: Error) => void;
  readonly startAgain: (reason: string) => void;
}

export class Ending {
  readonly #failures: DiskFailures;
  readonly #ports: EndingPorts;
  readonly #handOver: HandOver;
  #isStopped = false;
  #isClosed = false;

  constructor(failures: DiskFailures, ports: EndingPorts) {
    this.#failures = failures;
    this.#ports = ports;
    this.#handOver = new HandOver(ports.clock, ports.log);
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Hands leadership over if this node leads, at most a second, closes the journal, then calls `done`. */
  stop(done: () => void): void {
    if (this.#isStopped) this.#close(done);
    else this.#handOver.begin(this.#ports.driver(), () => this.#close(done));
  }

  /**
   * Makes a new node of this one and asks to be started again as that: its membership is over, or its identity is not its own (`copyOf`: its
   * name then). It joins as any fresh node does; the journal is kept aside. What it has acknowledged must be safe elsewhere, or be lost already.
   */
  startAnew(reason: string, copyOf?: string): void {
    this.#endsAs((done) => {
      this.#ports.log.warn({ reason }, "starting again as a new node");
      replaceIdentity(this.#ports.disk, this.#ports.random, copyOf, done);
    }, reason);
  }

  /**
   * A copy of this data directory has been in use under this node's identity, and was started `starts` times: no number that this process gives to a command is
   * its own any more (proposal-route.ts), and its log may lack what the copy has acknowledged as a voter. So it asks to be started again, behind the copy's
   * starts and as a suspect, which does not vote alone before it has caught up with a leader.
   */
  outrun(starts: Incarnation, reason: string): void {
    // Not within the step that has found it.
    this.#ports.clock.atTurnEnd(() =>
      this.#endsAs((done) => {
        this.#ports.log.warn({ starts }, reason);
        countStarts(this.#ports.disk, starts, done);
      }, reason),
    );
  }

  /** Makes a new node of this data directory, for whenever it is started. */
  leaveDataBehind(done: ActionDone): void {
    if (this.#isStopped) {
      done(STOPPING);
      return;
    }
    this.#close(() => {
      replaceIdentity(this.#ports.disk, this.#ports.random, undefined, (error) => {
        if (error !== undefined) this.#ports.fatal(error);
        done(error?.message);
      });
    });
  }

  /** Makes a member of another cluster of this node (fork.ts), and asks to be started again as that. */
  fork(fork: Fork, done: ActionDone): void {
    if (this.#isStopped) {
      done(STOPPING);
      return;
    }
    this.#endsAs((decided) => {
      decideFork(this.#ports.disk, fork, (error) => {
        done(error?.message);
        decided(error);
      });
    }, "founding the mesh anew");
  }

  /**
   * Whatever the disk holds now, nothing more is promised: others go on, and this node ends, to be started again; or its program is too
   * old for what the log says (log-version.ts).
   */
  failed(error: Error): void {
    if (this.#isStopped) return;
    const isOutdated = error instanceof SkeinError && error.code === "ERR_SKEIN_VERSION";
    if (!isOutdated) this.#failures.note(error);
    // Not within the step that has found it.
    this.#ports.clock.atTurnEnd(() => {
      if (!this.#isStopped) this.#handOver.begin(this.#ports.driver(), () => this.#fail(error));
    });
  }

  /** Numbers of commands that were lost may still be under way: only a new incarnation can go on (sequencer.ts). */
  commandsLost(): void {
    const text =
      "Cannot go on: the cluster has lost writes of this node that were acknowledged. It takes over what is left";
    this.#fail(new SkeinError("ERR_SKEIN_DATA_LOST", text));
  }

  leadershipChanged(driver: Driver): void {
    this.#handOver.leadershipChanged(driver);
  }

  /** Closes the journal, changes what this node is, and asks for it to be started. */
  #endsAs(change: (done: DiskDone) => void, reason: string): void {
    if (this.#isStopped) return;
    const { startAgain, fatal } = this.#ports;
    this.#close(() => {
      change((error) => {
        if (error === undefined) startAgain(reason);
        else fatal(error);
      });
    });
  }

  #fail(error: Error): void {
    if (this.#isStopped) return;
    this.#halt();
    this.#ports.fatal(error);
  }

  #close(done: () => void): void {
    this.#halt();
    const closed = (): void => this.#failures.whenWritten(done);
    const driver = this.#ports.driver();
    if (driver === undefined || this.#isClosed) this.#ports.clock.atTurnEnd(closed);
    else driver.stop(closed);
    this.#isClosed = true;
  }

  #halt(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#ports.halt();
  }
}
