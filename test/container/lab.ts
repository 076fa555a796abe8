import { execFile, execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A machine with a booted systemd and Debian's PostgreSQL: SYSTEMD_LAB_DIR holds bin/inside, which runs commands in it, and shared, its /shared. */
const dir = process.env['SYSTEMD_LAB_DIR'];

/** Why the tests are skipped; undefined when there is a lab that runs. */
export function missingLab(): string | undefined {
  if (dir === undefined) return 'SYSTEMD_LAB_DIR is not set: there is no machine with systemd to run them on';
  if (!existsSync(join(dir, 'bin/inside'))) return `${dir} is no lab: it has no bin/inside`;
  try {
    execFileSync(join(dir, 'bin/inside'), ['true'], { stdio: 'ignore' });
    return undefined;
  } catch {
    return `the lab in ${dir} does not run`;
  }
}

export interface Answered {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

/** Runs a command in the lab, as root. */
export async function attempt(...words: readonly string[]): Promise<Answered> {
  return promisify(execFile)(join(dir!, 'bin/inside'), [...words], { timeout: 120_000 }).then(
    ({ stdout, stderr }) => ({ code: 0, out: stdout, error: stderr }),
    (cause: { code?: number; stdout?: string; stderr?: string }) => ({
      code: cause.code ?? -1,
      out: cause.stdout ?? '',
      error: cause.stderr ?? '',
    }),
  );
}

/** The same; its stdout. Rejects with everything it said when it fails. */
export async function inside(...words: readonly string[]): Promise<string> {
  const { code, out, error } = await attempt(...words);
  if (code !== 0) throw new Error(`${words.join(' ')} ended with ${code}\n${out}${error}`);
  return out.trim();
}

export const shell = (script: string): Promise<string> => inside('sh', '-ec', script);

/** Installs this checkout as a user would: packed, installed globally, with the Node that runs these tests (Debian's own is too old). */
export async function installDbkit(): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'dbkit-lab-'));
  try {
    execFileSync('npm', ['run', '--silent', 'build']);
    execFileSync('npm', ['pack', '--silent', '--pack-destination', work]);
    const [tarball] = readdirSync(work);
    execFileSync('npm', [
      'install',
      '--silent',
      '--no-audit',
      '--no-fund',
      '--global',
      '--prefix',
      join(work, 'prefix'),
      join(work, tarball!),
    ]);
    const shared = join(dir!, 'shared/dbkit-test');
    rmSync(shared, { recursive: true, force: true });
    cpSync(join(work, 'prefix/lib/node_modules'), shared, { recursive: true, verbatimSymlinks: true });
    cpSync(realpathSync(process.execPath), join(shared, 'node'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  await shell(`
    install -m 755 /shared/dbkit-test/node /usr/local/bin/node
    rm -rf /usr/local/lib/node_modules/dbkit /usr/local/bin/dbkit
    mkdir -p /usr/local/lib/node_modules
    cp -r /shared/dbkit-test/dbkit /usr/local/lib/node_modules/
    chmod -R go+rX /usr/local/lib/node_modules
    ln -s ../lib/node_modules/dbkit/bin/dbkit.js /usr/local/bin/dbkit
    rm -rf /shared/dbkit-test`);
}
