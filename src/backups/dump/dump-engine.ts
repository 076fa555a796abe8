import { DbkitError } from '../../kernel/errors.ts';
import { durationMs } from '../../kernel/units.ts';
import type { Backup, BackupEngine } from '../backup.ts';
import { expireBackups } from '../expire.ts';
import { openRepositoryOf } from '../repository.ts';
import { planRetention, type RetentionPolicy } from '../retention.ts';
import { createDump, type DumpNeeds } from './create.ts';
import { loadDump, onScratchDatabase, testDump } from './load.ts';
import { type DumpRecord, describeRecord, dumps, toBackup } from './record.ts';
import { findTools } from './tools.ts';
import { verifyContents, verifyFiles } from './verify.ts';

export type DumpEngine = Required<Omit<BackupEngine, 'descends' | 'prove' | 'changedSinceLast' | 'sameFiles' | 'rollsForward'>>;

/** Dumps of databases, made and read by PostgreSQL's own pg_dump and pg_restore: for another major version, one database, one table. */
export function createDumpEngine(given: Omit<DumpNeeds, 'repository'>): DumpEngine {
  const { config, system, owner } = given;
  const repository = openRepositoryOf(dumps, config.backupDir, system.self.uid === 0 ? owner : undefined, system);
  const needs: DumpNeeds = { ...given, repository };
  const { last = config.maxBackups, daily, weekly, monthly, maxAge } = config.retention;
  const policy: RetentionPolicy = { last, daily, weekly, monthly, maxAgeMs: maxAge === undefined ? undefined : durationMs(maxAge) };
  const asBackup = (record: DumpRecord): Backup => toBackup(record, repository.pathOf(record.label));

  async function recordOf({ label }: Backup, signal: AbortSignal): Promise<DumpRecord> {
    const record = (await repository.records(signal)).find((candidate) => candidate.label === label);
    if (!record) throw new DbkitError('backup.missing', `there is no dump ${label}`, { hint: '`dbkit backup list` shows what there is' });
    return record;
  }

  return {
    name: 'dump',
    kind: 'logical',
    list: async (signal) => (await repository.records(signal)).map(asBackup),
    backup: (signal, options = {}) =>
      repository.locked(
        'dump',
        async () => {
          const record = await createDump(needs, options, signal);
          system.log.info('dump.created', `Dump ${record.label} is complete.`, {
            label: record.label,
            tables: record.tables,
            rows: record.rows,
          });
          if (!options.salvage) await expireBackups(repository, { ...policy, justMade: record.label }, system, signal);
          return asBackup(record);
        },
        signal,
        options.waitMs,
      ),
    restore: async ({ label }) => {
      throw new DbkitError('usage.invalid', `${label} is a dump: it is loaded into a running server, not into a directory`, {
        hint: `\`dbkit backup restore ${label}\` loads it`,
      });
    },
    load: async (backup, request, signal) =>
      repository.reading(backup.label, async () => loadDump(needs, await recordOf(backup, signal), request, signal)),
    onScratchDatabase: async (backup, database, work, signal) =>
      repository.reading(backup.label, async () => onScratchDatabase(needs, await recordOf(backup, signal), database, work, signal)),
    verify: async (backup, signal, { test = false } = { deep: false }) => {
      const record = await recordOf(backup, signal);
      const verifiedAt = system.clock.now().toISOString();
      try {
        await repository.reading(record.label, async () => {
          const manifest = await verifyFiles(repository.pathOf(record.label), record, signal);
          await verifyContents(repository.pathOf(record.label), manifest, await findTools(record.pgVersion, needs, signal), signal);
          if (test) await testDump(needs, record, signal);
        });
      } catch (cause) {
        if (cause instanceof DbkitError && cause.code === 'data.corrupt') {
          const problem = cause.message;
          await repository.change(record.label, (now) => ({ ...now, state: 'damaged', verifiedAt, problem }), signal);
        }
        throw cause;
      }
      const proven = test ? { state: 'proven' as const, provenAt: verifiedAt } : {};
      const state = record.provenAt === null ? ('verified' as const) : ('proven' as const);
      await repository.change(record.label, (now) => ({ ...now, state, verifiedAt, problem: null, ...proven }), signal);
    },
    describe: async (backup, signal) => describeRecord(await recordOf(backup, signal)),
    annotate: async (backup, words, signal) => {
      const changed = await repository.change(backup.label, (record) => ({ ...record, ...words }), signal);
      return asBackup(changed ?? (await recordOf(backup, signal)));
    },
    expire: async ({ dryRun }, signal) => {
      if (dryRun) return planRetention(await repository.records(signal), policy);
      return repository.locked('expire', () => expireBackups(repository, policy, system, signal), signal);
    },
  };
}
