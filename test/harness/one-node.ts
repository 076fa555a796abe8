import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fstatSync, ftruncateSync, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Ended, program } from './dbkit.ts';

/** Where a command is given, and all that its environment holds. */
export interface From {
  readonly workingDirectory: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

interface OneNode {
  readonly child: ChildProcess;
  /** What was printed since it was last taken. */
  take(): Pick<Ended, 'stdout' | 'stderr'>;
}

let running: Promise<OneNode> | undefined;
let before: Promise<unknown> = Promise.resolve();

/**
 * `dbkit WORDS…` as it was built, one command after another in one Node that a test file keeps: to start Node takes as long as ten short commands. For
 * what reads, writes and ends. What lives on, holds a lock, is ended by a signal, or gives up root’s rights to act as the server’s user (it stays that
 * user) has a process of its own (dbkit.ts).
 */
export function inOneNode(words: readonly string[], from: From): Promise<Ended> {
  const ended = before.then(() => give(words, from));
  before = ended.catch(() => undefined);
  return ended;
}

async function give(words: readonly string[], from: From): Promise<Ended> {
  running ??= startNode();
  const { child, take } = await running;
  child.send({ words, ...from });
  const { code } = await answerOf(child);
  return { code, signal: null, ...take() };
}

async function startNode(): Promise<OneNode> {
  const [out, error] = [openNameless(), openNameless()];
  const child = fork(fileURLToPath(new URL('one-node.mjs', import.meta.url)), [program], {
    execArgv: [],
    stdio: ['ignore', out, error, 'ipc'],
  });
  await answerOf(child);
  child.unref(); // It ends with this process, which need not wait for it.
  return { child, take: () => ({ stdout: takeAll(out), stderr: takeAll(error) }) };
}

/** A file that is gone with whoever has it open: what a command prints is in it before it answers, which no pipe promises. */
function openNameless(): number {
  const folder = mkdtempSync(join(tmpdir(), 'dbkit-one-node-'));
  const descriptor = openSync(join(folder, 'printed'), 'a+');
  rmSync(folder, { recursive: true });
  return descriptor;
}

function takeAll(descriptor: number): string {
  const bytes = Buffer.alloc(fstatSync(descriptor).size);
  readSync(descriptor, bytes, 0, bytes.length, 0);
  ftruncateSync(descriptor);
  return bytes.toString();
}

async function answerOf(child: ChildProcess): Promise<{ code: number }> {
  const over = new AbortController();
  const { signal } = over;
  const answer = once(child, 'message', { signal }).then(([said]) => said as { code: number });
  const gone = once(child, 'exit', { signal }).then(([code, by]) => {
    throw new Error(`the Node of the commands ended with ${code ?? by}`);
  });
  child.channel?.ref();
  try {
    return await Promise.race([answer, gone]);
  } finally {
    over.abort();
    for (const one of [answer, gone]) one.catch(() => undefined);
    child.channel?.unref();
  }
}
