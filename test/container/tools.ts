import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { delimiter, join } from 'node:path';

/** How a program ended, what it said, and how long that took. */
export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

const PATIENCE_MS = 240_000;

/** A folder whose bin/ holds podman and devcontainer; without it they are those of PATH. */
const lab = process.env['CONTAINER_LAB_DIR'];
const path = [...(lab ? [join(lab, 'bin')] : []), process.env['PATH']].join(delimiter);

export async function run(file: string, args: readonly string[], { cwd, input }: { cwd?: string; input?: string } = {}): Promise<Ran> {
  const since = performance.now();
  const child = spawn(file, [...args], { cwd, env: { ...process.env, PATH: path }, stdio: ['pipe', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (said.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said.stderr += chunk.toString()));
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS); // A tool that hangs fails its test with what it said.
  child.stdin.on('error', () => undefined); // Whoever reads no input may end before it is written.
  child.stdin.end(input ?? '');
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  return { code, ...said, ms: Math.round(performance.now() - since) };
}

/** The same, and everything it said where it fails. */
export async function must(file: string, args: readonly string[], options?: { cwd?: string; input?: string }): Promise<Ran> {
  const ran = await run(file, args, options);
  if (ran.code !== 0) throw new Error(`${file} ${args.join(' ')} ended with ${ran.code}\n${ran.stdout}\n${ran.stderr}`);
  return ran;
}

export const podman = (...args: readonly string[]): Promise<Ran> => must('podman', args);

/** The lab's devcontainer knows its podman. */
export const devcontainer = (verb: string, ...args: readonly string[]): Promise<Ran> =>
  run('devcontainer', [verb, ...(lab ? [] : ['--docker-path', 'podman']), ...args]);

/** Why none of this can run here; undefined when it can. */
export async function missing(): Promise<string | undefined> {
  for (const tool of ['podman', 'devcontainer']) {
    const ran = await run(tool, ['--version']).catch(() => undefined);
    if (ran?.code !== 0) return `${tool} does not work: put it in PATH, or set CONTAINER_LAB_DIR to a folder with bin/${tool}`;
  }
  return undefined;
}

/** Asks again until it is so. */
export async function until(what: string, isSo: () => Promise<boolean>, withinMs = 30_000): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A figure for the person who reads the run. */
export const note = (what: string, figure: string): void => void process.stdout.write(`    ${what}: ${figure}\n`);
