import { writeSync } from 'node:fs';
import { errnoOf } from '../kernel/errors.ts';

const STDOUT = 1;
const STDERR = 2;
const PAUSE_MS = 5;
/** How long a log line waits for whoever reads stderr; then it is lost rather than the server left alone. */
const PATIENCE_MS = 500;

/** dbkit's own output. Nothing that befalls it (a full disk, a reader that is gone) ends the process that keeps a server. */
export interface Streams {
  writeOut(text: string): void;
  writeError(text: string): void;
  /** Why the report did not get out whole: 'ENOSPC', 'EIO'; undefined when it did, and when its reader had enough of it (EPIPE). */
  lost(): string | undefined;
}

export function createStreams(): Streams {
  let lost: string | undefined;
  let isGone = false;
  return {
    writeOut(text) {
      if (isGone) return;
      const failure = writeWhole(STDOUT, text, Number.POSITIVE_INFINITY);
      if (failure === undefined) return;
      isGone = true;
      if (failure !== 'EPIPE') lost = failure;
    },
    writeError: (text) => void writeWhole(STDERR, text, PATIENCE_MS), // There is nowhere to say that it failed.
    lost: () => lost,
  };
}

/** The system's name for what kept it from being written; undefined when all of it was. */
function writeWhole(fd: number, text: string, patienceMs: number): string | undefined {
  let rest = Buffer.from(text);
  let waitedMs = 0;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (cause) {
      const code = errnoOf(cause) ?? 'EIO';
      if (code !== 'EAGAIN' || waitedMs >= patienceMs) return code; // A pipe that somebody else made non-blocking, and that is full.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
      waitedMs += PAUSE_MS;
    }
  }
  return undefined;
}
