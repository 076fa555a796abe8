import type { Dumps } from '../backups/backup.ts';
import { describeProperties } from '../backups/dump/contents.ts';
import { createDumps } from '../backups/dump/dumps.ts';
import { setProperties } from '../backups/dump/properties.ts';
import type { Hold, PostgresqlOptions } from '../boot/hold.ts';
import type { Connection } from '../instance/connection.ts';
import { connectSuperuser, type Local } from '../instance/local.ts';
import { onPrivateServer } from '../instance/server/private-server.ts';
import { carryRoles } from './carry-roles.ts';
import type { UpgradeReport } from './contract.ts';
import { type OldCluster, onOldServer, quietBeside } from './old-cluster.ts';

/** Where dbkit makes a database that must not bear its own name yet. */
const BESIDE_POSTGRES = 'dbkit_upgraded_postgres';
/** Made by initdb: it makes way for the old one. */
const OF_INITDB = 'dbkit_initdb_postgres';

/** The old server and the new one, each with the programs that start it, and the folder of the tools that work on both. */
export interface DumpUpgrade {
  readonly held: Hold;
  /** As `held.local`, with the programs of the new major and its bootstrap role. */
  readonly next: Local;
  readonly toolsDir: string;
  readonly old: OldCluster;
}

/**
 * Dumps every database of the old server, and restores it into the new cluster beside it: roles first, then each database, whose rows are counted
 * against the dump. The dump stays in the repository. Resolves to what did not come over as it was.
 */
export async function upgradeByDump(
  options: PostgresqlOptions,
  upgrade: DumpUpgrade,
  signal: AbortSignal,
): Promise<UpgradeReport['missing']> {
  const { held, next, old } = upgrade;
  const { system } = options;
  const names = old.databases.filter((name) => !old.snapshots.includes(name));
  const server = {
    dataDir: next.volume.staged,
    lock: held.lock,
    settings: quietBeside,
    trusts: true,
    what: 'the server of the new major version',
  };
  return onOldServer(held, signal, async (oldSocket) => {
    const dump = await dumpsAt(options, upgrade, { local: held.local, socketDir: oldSocket }).take(signal, {
      databases: names,
      note: `for the upgrade to ${next.binaries.major}`,
    });
    return onPrivateServer(next, server, signal, async (newSocket) => {
      const missing: UpgradeReport['missing'][number][] = [...(await roles(upgrade, { oldSocket, newSocket }, signal))];
      const dumps = dumpsAt(options, upgrade, { local: next, socketDir: newSocket });
      for (const name of names) {
        system.log.info('upgrade.database', `restoring ${name} into PostgreSQL ${next.binaries.major}`, { database: name });
        const into = name === 'postgres' ? BESIDE_POSTGRES : undefined;
        const loaded = await dumps.load(dump, { database: name, into, mustBeWhole: true }, signal);
        missing.push(...loaded.missing.map((one) => ({ database: name, ...one })));
      }
      if (names.includes('postgres')) {
        await takeTheNameOfPostgres(next, newSocket, signal);
        const late = await dumps.loadLate(dump, 'postgres', signal);
        missing.push(...late.map((one) => ({ database: 'postgres', ...one })));
      }
      return missing;
    });
  });
}

const dumpsAt = (
  { config, system }: PostgresqlOptions,
  { toolsDir, held, old }: DumpUpgrade,
  { local, socketDir }: { readonly local: Local; readonly socketDir: string },
): Dumps =>
  createDumps({
    config: {
      ...config,
      postgresql: {
        ...config.postgresql,
        socketDir,
        binDir: toolsDir,
        superuser: old.bootstrap,
        superuserPassword: undefined,
        dataDir: dataDirOf(local, held),
      },
    },
    system,
    owner: local.owner,
  });

/** PG_VERSION there tells which settings a session may have. */
const dataDirOf = (local: Local, held: Hold): string => (local === held.local ? local.volume.dataDir : local.volume.staged);

async function roles(
  { held, next, old }: DumpUpgrade,
  { oldSocket, newSocket }: { readonly oldSocket: string; readonly newSocket: string },
  signal: AbortSignal,
): Promise<UpgradeReport['missing']> {
  const from = await connectSuperuser(held.local, 'template1', signal, oldSocket);
  try {
    const to = await connectSuperuser(next, 'template1', signal, newSocket);
    try {
      const missing = await carryRoles(from, to, { fromMajor: held.local.binaries.major, toMajor: next.binaries.major });
      return [...missing, ...(await carryTemplate(from, to, old))];
    } finally {
      await to.end();
    }
  } finally {
    await from.end();
  }
}

/** template1 itself is in no dump: its settings, privileges and comment come over; what it holds has stood in the way before. */
async function carryTemplate(from: Connection, to: Connection, { template1IsGuarded }: OldCluster): Promise<UpgradeReport['missing']> {
  const { owner, ...properties } = await describeProperties(from, 'template1');
  const refused = await setProperties(to, 'template1', properties, { loader: undefined, owner });
  const because = 'no dump has them: give them again in template1, for databases that are made from it later';
  return [
    ...refused.map((one) => ({ database: 'template1', what: `setting \`${one.statement}\``, because: one.because })),
    ...(template1IsGuarded ? [{ database: 'template1', what: 'privileges of the schema public', because }] : []),
  ];
}

/** dbkit's sessions are in the database postgres while others are loaded, so the old one comes beside it and takes its name last. */
async function takeTheNameOfPostgres(next: Local, newSocket: string, signal: AbortSignal): Promise<void> {
  const session = await connectSuperuser(next, 'template1', signal, newSocket);
  const id = session.escapeIdentifier;
  try {
    await session.query(`ALTER DATABASE ${id('postgres')} RENAME TO ${id(OF_INITDB)}`);
    await session.query(`ALTER DATABASE ${id(BESIDE_POSTGRES)} RENAME TO ${id('postgres')}`);
    await session.query(`DROP DATABASE ${id(OF_INITDB)}`);
  } finally {
    await session.end();
  }
}
