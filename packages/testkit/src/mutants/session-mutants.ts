/** Bugs planted in what makes sessions outlive their node: claims, queues, handshakes, wills (reference design, section 4.3). */

import type { Mutant } from "./mutate.ts";

const SESSIONS = "packages/coordinator/src/sessions";
const STATE = "packages/coordinator/src/state-machine/sessions";
const BROKER = "packages/broker/src";

export const SESSION_MUTANTS: readonly Mutant[] = (
  [
    {
      name: "PUBREL before the PUBREC is committed",
      breaks:
        "P6: the client forgets the identifier, and takes what is sent again for something new (rule 8)",
      file: `${BROKER}/sessions/stored-session.ts`,
      // It never is: what is committed a moment too late would show in that moment only.
      search: "    this.#waiting += claim.confirm(this.ordinal, this);\n",
      replacement: "",
      scenario: "chases",
    },
    {
      name: "a node with a quorum hands out what another says without one",
      breaks: "P7: the newest of an outbox comes before the oldest",
      file: `${SESSIONS}/early-exchange.ts`,
      search: 'if (hasQuorum && operation.kind !== "subscribe") continue;',
      replacement: 'if (hasQuorum && operation.kind === "confirm") continue;',
      scenario: "pairs",
    },
    {
      name: "a CONNECT does not wait for the outboxes of those in reach",
      breaks: "P6: who comes from a node without a quorum is given again what he had there",
      file: `${SESSIONS}/outbox-barrier.ts`,
      search:
        "    if (this.#until <= now || this.#isWritten) then();\n" +
        "    else this.#waits.push({ until: this.#until, then });",
      replacement: "    then();",
      scenario: "outboxes",
    },
    {
      name: "what came with DUP is taken again from the outbox of the first node",
      breaks: "P6: a message whose PUBREC was lost with its connection comes twice",
      file: `${STATE}/repeated-messages.ts`,
      search: "  if (at >= 0) {\n",
      replacement: "  if (at >= REPEATED_MAX) {\n",
      scenario: "pairs",
    },
    {
      name: "what a client has said without a quorum is forgotten with its connection",
      breaks: "P6: the same node sends it what it has again",
      file: `${SESSIONS}/early-acknowledgements.ts`,
      search: 'if (states.get(ordinal) !== "had") states.set(ordinal, state);',
      replacement: 'if (states.get(ordinal) === "had") states.set(ordinal, state);',
      scenario: "pairs",
    },
    {
      name: "a stale owner's command is accepted",
      breaks: "P9: two connections use one session (rule 2)",
      file: `${STATE}/session-state.ts`,
      search:
        "return own?.node === owner.node && own.incarnation === owner.incarnation && own.claim === owner.claim;",
      replacement: "return own !== undefined || owner === undefined;",
    },
    {
      name: "what clients have had from a connection that counts as older does not count",
      breaks:
        "P6: where clocks differ, a message that came without a quorum comes again when the log has heard of it",
      file: `${STATE}/sessions-state.ts`,
      search: "    if (isOvertaken && !cleanStart) older.overtaken(owner);\n",
      replacement: "",
      scenario: "pairs",
    },
    {
      name: "a message for kept sessions is acknowledged before it is committed",
      breaks: "P5: it is lost with its node",
      file: `${SESSIONS}/sessions.ts`,
      search: 'return this.#proposals.propose({ kind: "publish", publisher, served, message }, done);',
      replacement:
        'this.#proposals.propose({ kind: "publish", publisher, served, message }, undefined);\n' +
        "    if (done !== undefined) this.#ports.clock.atTurnEnd(() => done.settle(0));\n" +
        "    return done === undefined ? 0 : 1;",
    },
    {
      name: "QoS 2 of a kept publisher is published as often as it comes",
      breaks: "P6: a publisher that moves in the middle of a handshake doubles its message (rule 7)",
      file: `${STATE}/repeated-messages.ts`,
      search: '  if (session.holds(packetId, content)) return "applied";\n',
      replacement: "",
      // The node that the publisher comes to knows what has come through the log, and asks for none of it a second time.
      and: {
        file: `${BROKER}/sessions/stored-session.ts`,
        search: "    for (const packetId of this.#receivedBefore) this.received.set(packetId, undefined);\n",
        replacement: "",
      },
    },
    {
      name: "what comes under an identifier that is held is a repetition, whatever it says",
      breaks:
        "P5: the first message that a client sends after a PUBREL of which its node has not heard is lost",
      file: `${STATE}/session-state.ts`,
      search: "return held !== undefined && (held === content || held === 0 || content === 0);",
      replacement: "return held !== undefined;",
      scenario: "pairs",
    },
    {
      name: "a waiting will is not taken back",
      breaks: "P9: a will is published after a newer session of its client",
      file: `${STATE}/session-state.ts`,
      search: "    this.will = opening.will;\n",
      replacement: "    if (this.willAt === undefined) this.will = opening.will;\n",
      and: {
        file: `${STATE}/session-state.ts`,
        search: "    this.willAt = undefined;\n    this.isWillDeferred = false;\n",
        replacement: "",
      },
    },
    {
      name: "what may have been sent is forgotten",
      breaks: "a message comes again without DUP",
      file: `${STATE}/session-state.ts`,
      search: "    this.sentThrough = this.queue.nextOrdinal - 1;\n  }\n\n  /** Nothing comes",
      replacement: "  }\n\n  /** Nothing comes",
    },
    {
      name: "a snapshot forgets subscriptions",
      breaks: "P5: a node that was restored does not know what sessions want",
      file: `${STATE}/sessions-state.ts`,
      search:
        "      for (const subscription of saved.subscriptions) this.routes.set(session, subscription);\n",
      replacement: "",
    },
    {
      name: "a takeover empties the queue",
      breaks: "P5: what the session was owed is lost",
      file: `${STATE}/sessions-state.ts`,
      search: "    if (session.owner !== undefined) session.assumeSent();\n",
      replacement: "    if (session.owner !== undefined) session.queue.clear();\n",
    },
    {
      name: "nobody notices that a node is gone",
      scenario: "absences",
      breaks: "P9: the wills of its clients are never published (rule 10)",
      file: `${SESSIONS}/session-duties.ts`,
      search: "if (incarnation === undefined || now - since < GONE_AFTER_MS) continue;",
      replacement: "if (incarnation === undefined || now - since < GONE_AFTER_MS * 1000) continue;",
      // A node that starts again says so itself.
      and: {
        file: `${SESSIONS}/held-before.ts`,
        search: '      this.#proposals.propose({ kind: "nodeUp" }, undefined, true);\n',
        replacement: "",
      },
    },
    {
      name: "SUBACK of a kept session before the others know",
      breaks: "P4: who publishes elsewhere right after it does not find the subscription",
      file: `${SESSIONS}/claim.ts`,
      search: "else this.#ports.afterBarrier(() => done.settle(reasonCode));",
      replacement: "else done.settle(reasonCode);",
      scenario: "acknowledgements",
    },
    {
      name: "a client that takes its leave has a will",
      breaks: "P9, [MQTT-3.1.2-10]",
      file: `${STATE}/session-state.ts`,
      search: 'const will = fate === "discard" ? undefined : session.will;',
      replacement: "const will = session.will;",
    },
    {
      name: "a wall clock that jumps makes messages expire",
      scenario: "clocks",
      load: "writes",
      breaks: "P8: retained messages are gone before their time (R19)",
      file: `${STATE}/session-time.ts`,
      search: "return ms <= JUMP_MS ? ms : 0;",
      replacement: "return ms;",
    },
    {
      name: "sessions do not expire",
      scenario: "chases",
      breaks: "G4: a session is found that had ended",
      file: `${STATE}/sessions-state.ts`,
      search: 'if (session.endsAt !== undefined && session.endsAt <= now) this.#end(session, "expiry");',
      replacement: "if (session.endsAt !== undefined && session.endsAt <= now) session.endsAt = undefined;",
    },
    {
      name: "the older connection hears nothing of the newer one",
      breaks: "P9: two nodes serve one client",
      file: `${SESSIONS}/claim.ts`,
      search: "    if (this.#ports.holds(this)) this.#holder.grown();\n    else this.#lost();",
      replacement: "    if (this.#ports.holds(this)) this.#holder.grown();",
    },
    {
      name: "Clean Start keeps what the session was owed",
      breaks: "G4: a session gets what another one was owed",
      file: `${STATE}/sessions-state.ts`,
      search: "    if (!isPresent) this.#empty(session);\n",
      replacement: "",
    },
    {
      name: "a session without room is passed by without a count",
      breaks: "P5: an acknowledged message is dropped in silence",
      file: `${STATE}/queueing.ts`,
      search: "    this.passed.count(route.session.clientId, offered.message, offered.handle === NO_ROOM);\n",
      replacement: "",
      scenario: "orphans",
    },
    {
      name: "one session without room keeps a message from the others",
      breaks: "P5: one that nobody empties takes it from everybody",
      file: `${STATE}/sessions-state.ts`,
      search: '      if (!this.#queueing.give(offered, own)) outcome = "passed";\n',
      replacement:
        '      if (!this.#queueing.give(offered, own)) outcome = "passed";\n      if (outcome === "passed") break;\n',
      scenario: "orphans",
    },
    {
      name: "a QoS 2 message that has passed a session by is not known when it comes again",
      breaks: "P6: those that had room get it twice",
      file: `${STATE}/repeated-messages.ts`,
      search: 'if (outcome !== "full") session.received.set(packetId, content);',
      replacement: 'if (outcome === "applied") session.received.set(packetId, content);',
      scenario: "orphans",
    },
    {
      name: "a session is passed by that has room",
      breaks: "P5: it does not get what it is owed, however well it is counted",
      file: `${STATE}/session-queue.ts`,
      search: "      this.#count < queuedMessagesMax &&",
      replacement: "      this.#count < queuedMessagesMax / 2 &&",
      scenario: "orphans",
    },
    {
      name: "a queue that gets empty gives its last ordinal again",
      breaks:
        "P5, P6: a message has the packet identifier of another one, and counts as sent or acknowledged with it (rule 8)",
      file: `${STATE}/session-queue.ts`,
      search: "    this.#messages.release(handle);\n    return true;",
      replacement:
        "    this.#messages.release(handle);\n" +
        "    if (this.#count === 0) this.#columns = new QueueColumns(this.#messages, ordinal);\n    return true;",
    },
    {
      name: "what a member of a shared subscription leaves behind goes to nobody",
      breaks: "P5: what was acknowledged is lost with the member's connection, or with its node",
      file: `${STATE}/queueing.ts`,
      search: "if (chosen === undefined || this.#put(offered, chosen, group)) queue.remove(ordinal);",
      replacement: "if (chosen !== undefined) queue.remove(ordinal);",
      scenario: "sharing",
    },
    {
      name: "what a member of a shared subscription leaves behind stays its own, too",
      breaks: "P6: two members get one message",
      file: `${STATE}/queueing.ts`,
      search: "if (chosen === undefined || this.#put(offered, chosen, group)) queue.remove(ordinal);",
      replacement: "if (chosen !== undefined) this.#put(offered, chosen, group);",
      scenario: "sharing",
    },
    {
      name: "a QoS 2 message that a member of a shared subscription may have goes to another one",
      breaks: "P6, [MQTT-4.8.2-4]",
      file: `${STATE}/queueing.ts`,
      search: "if (group === undefined || (qos === 2 && ordinal <= sentThrough)) continue; // [MQTT-4.8.2-4]",
      replacement: "if (group === undefined || (qos === 2 && ordinal > sentThrough)) continue;",
      scenario: "sharing",
    },
    {
      name: "what a member of a shared subscription leaves behind is handed out from its end",
      breaks: "P7: the newest comes first",
      file: `${STATE}/queueing.ts`,
      search: "of [...queue]) {",
      replacement: "of [...queue].reverse()) {",
      scenario: "sharing",
    },
    {
      name: "what a snapshot stands for is handed out to nobody",
      breaks: "P5: live subscribers of a member that was away miss QoS 2 messages of kept sessions",
      file: `${SESSIONS}/sessions.ts`,
      search: "recent.behind(before, sessions.time.elapsed))",
      replacement: "recent.behind(Number.POSITIVE_INFINITY, sessions.time.elapsed))",
      scenario: "behind",
    },
    {
      name: "parts go before the snapshot that names them",
      breaks: "P12: a node that dies at this moment has no whole snapshot",
      file: "packages/coordinator/src/journal/snapshot-writer.ts",
      search: "      this.#disk.replace(this.#path, content(places), (error) => {",
      replacement:
        "      this.#parts.keepOnly(parts);\n      this.#disk.replace(this.#path, content(places), (error) => {",
      scenario: "parts",
    },
  ] satisfies readonly Mutant[]
).map((mutant) => ({ scenario: "takeovers", ...mutant }));
