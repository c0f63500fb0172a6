/** Something that is not broken but worth knowing: a line of the status, and once of the log. */
export interface Note {
  /** The same as long as it goes on, while the words may change with the time. */
  readonly subject: string;
  readonly text: string;
  /** The coordinator notes it as an event, too. */
  readonly isAlarm?: boolean;
}

/** A note that comes back within this time is no news. */
const REMEMBERED_MS = 3_600_000;

/** Tells which notes are new, so that each is logged once. */
export class NoteNews {
  readonly #seenAt = new Map<string, number>();

  /** `notes`: all there are at `now` (monotonic). Returns those that are not old. */
  of(notes: readonly Note[], now: number): readonly Note[] {
    const news = notes.filter(({ subject }) => !this.#seenAt.has(subject));
    for (const { subject } of notes) this.#seenAt.set(subject, now);
    for (const [subject, at] of this.#seenAt) if (now - at > REMEMBERED_MS) this.#seenAt.delete(subject);
    return news;
  }
}
