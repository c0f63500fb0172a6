/** Structured log: `message` is a constant lower-case phrase, what varies is in `fields`. Never payloads or keys. */

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  /** An operator must act. */
  error(fields: LogFields, message: string): void;
  /** Degraded; heals by itself. */
  warn(fields: LogFields, message: string): void;
  /** A change of state. */
  info(fields: LogFields, message: string): void;
  /** A decision. */
  debug(fields: LogFields, message: string): void;
}
