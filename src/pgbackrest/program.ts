import type { SecretPlace } from '../alerts/channel.ts';
import type { Config } from '../config/config.ts';
import { withPassfile } from '../instance/passfile.ts';
import { peerOf } from '../instance/sessions.ts';
import { DbkitError } from '../kernel/errors.ts';
import type { Identity, System } from '../kernel/machine.ts';
import { Secret } from '../kernel/secret.ts';
import { firstProgram, foldersIn } from '../machine/is-there.ts';
import { readPlainText } from '../machine/plain-file.ts';
import { failureOf } from './failures.ts';
import { parseVersion, type Version } from './features.ts';
import { type Places, placesIn, renderConfig, repositoryOf, type Secrets } from './render.ts';

export interface RestNeeds {
  readonly config: Config;
  readonly system: System;
  /** The server's user, whose the files are when dbkit runs as root. */
  readonly owner: Identity;
  /** Reads a secret at the moment it is needed. */
  reveal(place: SecretPlace): Promise<string>;
}

/** The program with the configuration that it was given last. */
export interface Prepared {
  readonly program: string;
  readonly version: Version;
  readonly places: Places;
  readonly stanza: string;
}

export interface Command {
  readonly args?: readonly string[];
  readonly timeoutMs: number;
}

/** pgBackRest as it is run here: as the server's user, with dbkit's configuration and no other. */
export interface Rest {
  /** Finds the program and writes its configuration where that has changed. Rejects with `program.missing`, `config.invalid`. */
  prepare(): Promise<Prepared>;
  /** Resolves to what it said on stdout. Rejects with the failure that its exit status means. */
  run(command: string, options: Command, signal: AbortSignal): Promise<string>;
  /** The same, where another status than 0 may be an answer. */
  attempt(command: string, options: Command, signal: AbortSignal): Promise<{ readonly exitCode: number; readonly stdout: string }>;
}

const VERSION_MS = 10_000;
const TERMINATED = 63;

export function createRest(needs: RestNeeds): Rest {
  const { config, system } = needs;
  let known: { readonly program: string; readonly version: Version } | undefined;
  const prepare = async (): Promise<Prepared> => {
    known ??= await findProgram(needs);
    const places = placesIn(config.stateDir);
    await write(needs, places, known.version);
    return { ...known, places, stanza: config.pgbackrest.stanza };
  };
  const attempt: Rest['attempt'] = async (command, { args = [], timeoutMs }, signal) => {
    const { program, places, stanza } = await prepare();
    const run = (env: Readonly<Record<string, string>>) =>
      system.runner.attempt(
        // Its labels are made of the local time, and dbkit's are UTC.
        {
          file: program,
          args: [...common(places, stanza), command, ...args],
          env: { ...system.childEnvironment, TZ: 'UTC', ...env },
          timeoutMs,
        },
        signal,
      );
    const begunMs = system.clock.monotonicMs();
    const late = (cause?: unknown): DbkitError =>
      new DbkitError('store.unavailable', `pgbackrest ${command} did not end within ${Math.round(timeoutMs / 1000)} s`, {
        hint: 'check that its repository answers',
        cause,
      });
    const { exitCode, stdout, stderr } = await withServer(needs, command, run).catch((cause: unknown) => {
      signal.throwIfAborted();
      if (!(cause instanceof DbkitError && cause.code === 'tool.failed')) throw cause;
      throw late(cause);
    });
    // Told to end it says so itself, and nothing more.
    if (exitCode === TERMINATED && system.clock.monotonicMs() - begunMs >= timeoutMs) throw late();
    if (exitCode > 1) throw failureOf(command, exitCode, `${stderr}\n${stdout}`);
    return { exitCode, stdout };
  };
  return {
    prepare,
    attempt,
    async run(command, options, signal) {
      const { exitCode, stdout } = await attempt(command, options, signal);
      if (exitCode !== 0) throw failureOf(command, exitCode, stdout);
      return stdout;
    },
  };
}

/** A backup speaks with the server, as PostgreSQL's own tools do: to nobody else's socket, and with a password that no environment holds. */
async function withServer<T>(
  { config: { postgresql }, system, owner }: RestNeeds,
  command: string,
  work: (env: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  if (command !== 'backup') return work({});
  const peer = await peerOf(postgresql);
  const passfile = { system, owner: system.self.uid === 0 ? owner : undefined };
  return withPassfile(postgresql.superuserPassword?.reveal(), passfile, (given) => work({ ...peer, ...given }));
}

/** Of every run: no configuration but dbkit's, whatever lies in /etc. */
export const common = (places: Pick<Places, 'file'>, stanza: string): readonly string[] => [
  `--config=${places.file}`,
  `--stanza=${stanza}`,
];

async function findProgram({ config, system }: RestNeeds): Promise<{ program: string; version: Version }> {
  const program = config.pgbackrest.program ?? (await firstProgram('pgbackrest', foldersIn(system.childEnvironment['PATH'])));
  if (program === undefined)
    throw new DbkitError('program.missing', 'pgbackrest is not installed, and backup.engine is pgbackrest', {
      hint: 'install it (Debian: apt-get install pgbackrest), or name it with pgbackrest.program',
    });
  const { stdout } = await system.runner.run({ file: program, args: ['version'], timeoutMs: VERSION_MS }, new AbortController().signal);
  return { program, version: parseVersion(stdout, program) };
}

/** 0600: it holds secrets. The server's user must read it, whose server sends the WAL. */
async function write({ config, system, owner, reveal }: RestNeeds, places: Places, version: Version): Promise<void> {
  const { pgbackrest: settings, backupDir, postgresql: server } = config;
  const { files } = system;
  const text = renderConfig({ settings, backupDir, places, server, version, secrets: await secretsOf(config, reveal) });
  await files.ownDirectory(config.stateDir, { mode: 0o755 });
  for (const folder of [places.folder, places.lock, places.spool, places.log, places.fetching])
    await files.ownDirectory(folder, { mode: 0o700, owner });
  const repository = repositoryOf({ settings, backupDir });
  if (settings.repository === undefined && repository.type === 'directory') {
    await files.ownDirectory(backupDir, { mode: 0o700, owner });
    await files.ownDirectory(repository.path, { mode: 0o700, owner });
  }
  if ((await readPlainText(places.file).catch(() => undefined)) === text) return;
  await files.write(places.file, text, { mode: 0o600, owner });
}

async function secretsOf({ pgbackrest: { repository, cipherPass } }: Config, reveal: RestNeeds['reveal']): Promise<Secrets> {
  const read = async (place: SecretPlace | undefined): Promise<Secret | undefined> =>
    place === undefined ? undefined : new Secret(await reveal(place));
  const bucket = repository?.type === 's3' ? repository : undefined;
  return {
    accessKeyId: await read(bucket?.accessKeyId),
    secretAccessKey: await read(bucket?.secretAccessKey),
    sessionToken: await read(bucket?.sessionToken),
    cipherPass: await read(cipherPass),
  };
}
