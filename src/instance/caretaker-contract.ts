/** A unit of systemd's, or Debian's own tool. */
export interface Caretaker {
  /** The unit's name, which a cluster of Debian's has also where systemd does not run. */
  readonly name: string;
  /** A program and its arguments. */
  readonly start: readonly string[];
  /** Does nothing when it does not run; one that does not stop in time is stopped the hard way. Rejects with `tool.failed`. */
  stop(signal: AbortSignal): Promise<void>;
}
