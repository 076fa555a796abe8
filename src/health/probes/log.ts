import { open, stat } from 'node:fs/promises';
import * as v from 'valibot';
import type { Config } from '../../config/config.ts';
import { type ServerLog, serverLogFiles } from '../../instance/server-log-file.ts';
import { errnoOf } from '../../kernel/errors.ts';
import type { System } from '../../kernel/machine.ts';
import { isOwnTrouble } from '../../kernel/own-trouble.ts';
import { counted, roughly } from '../../kernel/units.ts';
import type { LogSubject } from '../facts.ts';
import { skipped, worstOf } from '../health.ts';
import { entriesOf } from '../log-formats.ts';
import { meaningOf } from '../log-messages.ts';
import type { ProbeOf, ResultOf } from '../probe.ts';
import { createMemory } from './memory.ts';

const FIRST_LOOK_BYTES = 256 * 1024;
const LOOK_BYTES_MAX = 8 * 1024 * 1024;
const REMEMBERED_MAX = 20;
const FILES_MAX = 8;
const LINE_LENGTH_MAX = 300;

const subjects = ['data', 'disk', 'shared-memory', 'process', 'start'] as const satisfies readonly LogSubject[];
const remembered = v.object({
  files: v.array(
    v.object({ path: v.string(), format: v.picklist(['stderr', 'csvlog', 'jsonlog']), inode: v.number(), offset: v.number() }),
  ),
  seen: v.array(
    v.object({
      atMs: v.number(),
      status: v.picklist(['warning', 'critical']),
      subject: v.picklist(subjects),
      meaning: v.string(),
      message: v.string(),
      line: v.string(),
    }),
  ),
});
type Remembered = v.InferOutput<typeof remembered>;
type Place = Remembered['files'][number];

/**
 * Words of corruption in the server's log since the last look, in each format that it writes, and also in a file that was rotated meanwhile.
 * They are told again for a while, so that no check takes them from another.
 */
export function logProbe(config: Config, system: System): ProbeOf<'log'> {
  const { stateDir, health } = config;
  const memory = createMemory<Remembered>(stateDir, { name: 'server-log', schema: remembered, mode: 0o600 }, system.files); // The log itself is not for everybody.
  return {
    name: 'log',
    title: 'words of corruption',
    async check() {
      const current = await serverLogFiles(config);
      const before = await memory.recall();
      const rotated = (before?.files ?? []).filter(({ path }) => !current.some((log) => log.path === path));
      const looks = await Promise.all([...rotated, ...current].map((log) => lookAt(log, before)));
      const read = looks.filter((look) => typeof look === 'object');
      const [first] = current;
      const errno = looks[rotated.length];
      if (read.length === 0 && errno === 'ENOENT')
        return skipped(`there is no server log at ${first!.path}; health.logFile may name another`);
      if (read.length === 0) return skipped(`this user may not read ${first!.path} (${String(errno)})`);
      const nowMs = system.clock.now().getTime();
      const fresh = read.flatMap(({ text, place }) =>
        entriesOf(text, place.format).flatMap(({ entry, line }) => {
          const meaning = meaningOf(entry);
          if (!meaning) return [];
          const { status, subject, meaning: words } = meaning;
          const message = entry.message.slice(0, LINE_LENGTH_MAX);
          return [{ atMs: nowMs, status, subject, meaning: words, message, line: line.slice(0, LINE_LENGTH_MAX) }];
        }),
      );
      const old = (before?.seen ?? []).filter(({ atMs }) => Math.abs(nowMs - atMs) < health.logRememberSeconds * 1000);
      const seen = [...old, ...fresh].slice(-REMEMBERED_MAX);
      const files = read.map(({ place }) => place).filter(({ path }) => current.some((log) => log.path === path));
      const next = { files: files.slice(-FILES_MAX), seen };
      if (JSON.stringify(next) !== JSON.stringify(before)) await memory.keep(next);
      return judged(seen, first!.path, nowMs);
    },
  };
}

function judged(seen: Remembered['seen'], path: string, nowMs: number): ResultOf<'log'> {
  const last = seen.at(-1);
  if (last === undefined) return { status: 'ok', summary: 'nothing that speaks of corruption', data: { path } };
  const worst = seen.findLast(({ status }) => status === 'critical') ?? last;
  const isData = worst.subject === 'data';
  return {
    status: worstOf(seen.map(({ status }) => status)),
    summary: `${counted(seen.length, 'line')} in the log; ${worst.meaning}: ${worst.message} (noticed ${roughly((nowMs - worst.atMs) / 1000)} ago)`,
    hint: isData ? `read ${path}; \`dbkit inspect --deep\` looks at every page` : `read ${path}`,
    data: { path, lines: seen.map(({ line }) => line), subjects: [...new Set(seen.map(({ subject }) => subject))] },
  };
}

interface Look {
  readonly place: Place;
  readonly text: string;
}

/** The lines that were written since, or why it cannot be read. Rejects where dbkit itself is short of something. */
const lookAt = (log: ServerLog, before: Remembered | undefined): Promise<Look | string> =>
  readNew(log, before).catch((cause: unknown) => {
    if (isOwnTrouble(cause)) throw cause;
    return errnoOf(cause) ?? 'unreadable';
  });

/** Whole lines from where the last look ended; from the file's beginning when it was rotated or cut; its end when no log was ever seen. */
async function readNew({ path, format }: ServerLog, before: Remembered | undefined): Promise<Look> {
  const { ino: inode, size } = await stat(path);
  const known = before?.files.find((file) => file.path === path);
  const from = known
    ? known.inode === inode && known.offset <= size
      ? known.offset
      : 0
    : before
      ? 0
      : Math.max(0, size - FIRST_LOOK_BYTES);
  const start = Math.max(from, size - LOOK_BYTES_MAX);
  if (start === size) return { place: { path, format, inode, offset: size }, text: '' };
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
    const bytes = buffer.subarray(0, bytesRead);
    const end = bytes.lastIndexOf('\n'.charCodeAt(0)) + 1; // A line that is being written is read next time.
    return { place: { path, format, inode, offset: start + end }, text: bytes.subarray(0, end).toString('utf8') };
  } finally {
    await file.close();
  }
}
