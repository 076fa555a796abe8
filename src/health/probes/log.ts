import { open, stat } from 'node:fs/promises';
import * as v from 'valibot';
import type { Config } from '../../config/config.ts';
import { serverLogFile } from '../../instance/server-log-file.ts';
import { errnoOf } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { counted, roughly } from '../../kernel/units.ts';
import { skipped, worstOf } from '../health.ts';
import { logWordOf } from '../log-messages.ts';
import type { Probe, ProbeResult } from '../probe.ts';
import { createMemory } from './memory.ts';

const FIRST_LOOK_BYTES = 256 * 1024;
const LOOK_BYTES_MAX = 8 * 1024 * 1024;
const REMEMBERED_MAX = 20;
const LINE_LENGTH_MAX = 300;

const remembered = v.object({
  path: v.string(),
  inode: v.number(),
  offset: v.number(),
  seen: v.array(v.object({ atMs: v.number(), status: v.picklist(['warning', 'critical']), meaning: v.string(), line: v.string() })),
});
type Remembered = v.InferOutput<typeof remembered>;

/** Words of corruption in the server's log since the last look. They are told again for a while, so that no check takes them from another. */
export function logProbe(config: Config, system: System): Probe {
  const { stateDir, health } = config;
  const memory = createMemory<Remembered>(stateDir, { name: 'log', schema: remembered, mode: 0o600 }, system.files); // The log itself is not for everybody.
  return {
    name: 'log',
    title: 'words of corruption',
    async check() {
      const path = await serverLogFile(config);
      const before = await memory.recall();
      const look = await readNew(path, before?.path === path ? before : undefined).catch(
        (cause: unknown) => errnoOf(cause) ?? 'unreadable',
      );
      if (look === 'ENOENT') return skipped(`there is no server log at ${path}; health.logFile may name another`);
      if (typeof look === 'string') return skipped(`this user may not read ${path} (${look})`);
      const nowMs = system.clock.now().getTime();
      const fresh = look.lines.flatMap((line) => {
        const word = logWordOf(line);
        return word ? [{ atMs: nowMs, ...word, line: line.trim().slice(0, LINE_LENGTH_MAX) }] : [];
      });
      const old = (before?.seen ?? []).filter(({ atMs }) => Math.abs(nowMs - atMs) < health.logRememberSeconds * 1000);
      const seen = [...old, ...fresh].slice(-REMEMBERED_MAX);
      const moved = before?.offset !== look.offset || before.inode !== look.inode || before.path !== path;
      if (moved || seen.length !== before.seen.length) await memory.keep({ path, inode: look.inode, offset: look.offset, seen });
      return judged(seen, path, nowMs);
    },
  };
}

function judged(seen: Remembered['seen'], path: string, nowMs: number): ProbeResult {
  const last = seen.at(-1);
  if (last === undefined) return { status: 'ok', summary: 'nothing that speaks of corruption', data: { path } };
  const worst = seen.findLast(({ status }) => status === 'critical') ?? last;
  const words = worst.line.replace(/^.*?\b(LOG|WARNING|ERROR|FATAL|PANIC):\s+/, '');
  return {
    status: worstOf(seen.map(({ status }) => status)),
    summary: `${counted(seen.length, 'line')} in the log; ${worst.meaning}: ${words} (noticed ${roughly((nowMs - worst.atMs) / 1000)} ago)`,
    hint: `read ${path}; \`dbkit inspect --deep\` looks at every page`,
    data: { path, lines: seen.map(({ line }) => line) },
  };
}

interface Look {
  readonly inode: number;
  readonly offset: number;
  readonly lines: readonly string[];
}

/** Whole lines from where the last look ended; from the file's beginning when it was rotated or cut; its end when it is seen for the first time. */
async function readNew(path: string, before: Remembered | undefined): Promise<Look> {
  const { ino: inode, size } = await stat(path);
  const same = before?.inode === inode && before.offset <= size;
  const from = same ? before.offset : before ? 0 : Math.max(0, size - FIRST_LOOK_BYTES);
  const start = Math.max(from, size - LOOK_BYTES_MAX);
  if (start === size) return { inode, offset: size, lines: [] };
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
    const text = buffer.subarray(0, bytesRead);
    const end = text.lastIndexOf('\n'.charCodeAt(0)) + 1; // A line that is being written is read next time.
    return { inode, offset: start + end, lines: text.subarray(0, end).toString('utf8').split('\n') };
  } finally {
    await file.close();
  }
}
