import type { Identity } from '../kernel/machine.ts';
import type { Caretaker } from './caretaker-contract.ts';
import type { LiveServer } from './live-server.ts';

/** The instance as others may ask about it, whether its server runs or not. */
export interface Instance {
  /** Lets processes of the server go on that a signal has stopped; how many there were. */
  wake(signal: AbortSignal): Promise<number>;
  /** Answers of a running server about itself; undefined when it does not answer within `timeoutMs`. */
  live(timeoutMs: number, signal: AbortSignal): Promise<LiveServer | undefined>;
  /** Nothing is in the data directory here, and nobody here has ever run a server on it: its files are another machine's, or another container's. */
  isElsewhere(): Promise<boolean>;
  /** How full the volumes under the logs and the repository are, in percent. */
  fullness(): Promise<{ readonly logs: number; readonly backups: number }>;
  /** The unit or tool that runs the server where dbkit does not supervise it; undefined: nobody that dbkit knows. */
  caretaker(): Promise<Caretaker | undefined>;
  /** The user that the server runs as. */
  owner(): Promise<Identity>;
}
