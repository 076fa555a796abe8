import { DbkitError } from '../../kernel/errors.ts';
import type { Dumps } from '../backup.ts';
import { inWords } from '../disk-failures.ts';
import { openRepository } from '../repository.ts';
import { createDump, type DumpNeeds } from './create.ts';
import { loadDump, loadLeftOut, onScratchDatabase, testDump } from './load.ts';
import { type DumpRecord, dumpRecords } from './record.ts';
import { findTools } from './tools.ts';
import { verifyContents, verifyFiles } from './verify.ts';

/** Sessions go through that socket. */
const reaching = (needs: DumpNeeds, socketDir: string | undefined): DumpNeeds =>
  socketDir === undefined ? needs : { ...needs, config: { ...needs.config, postgresql: { ...needs.config.postgresql, socketDir } } };

/** Dumps of databases, made and read by PostgreSQL's own pg_dump and pg_restore: for another major version, one database, one table. */
export function createDumps(given: Omit<DumpNeeds, 'repository'>): Dumps {
  const { config, system, owner } = given;
  const repository = openRepository(dumpRecords, { config, owner: system.self.uid === 0 ? owner : undefined, system });
  const needs: DumpNeeds = { ...given, repository };
  const { recordOf, remember, reading, pathOf } = repository;

  async function take(...[signal, options = {}]: Parameters<Dumps['take']>) {
    const record = await createDump(needs, options, signal);
    const { label, tables, rows } = record;
    system.log.info('dump.created', `Dump ${label} is complete.`, { label, tables, rows });
    if (!options.salvage) await repository.expireAfter(label, signal);
    return repository.asBackup(record);
  }

  async function verify(
    record: DumpRecord,
    { test, isTrusted }: { test: boolean; isTrusted: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const manifest = await verifyFiles(pathOf(record.label), record, signal);
    await verifyContents(pathOf(record.label), manifest, await findTools(record.pgVersion, needs, signal), signal);
    if (test) await testDump(needs, record, { isTrusted }, signal);
  }

  return {
    name: 'dump',
    kind: 'logical',
    repository,
    take: (signal, options = {}) =>
      inWords('take a dump', () => repository.locked('dump', () => take(signal, options), signal, options.waitMs)),
    load: async (backup, request, signal) =>
      inWords(`load ${backup.label}`, () =>
        reading(backup.label, signal, async () =>
          loadDump(reaching(needs, request.socketDir), await recordOf(backup, signal), request, signal),
        ),
      ),
    loadLate: async (backup, database, signal) =>
      inWords(`load ${backup.label}`, () =>
        reading(backup.label, signal, async () => loadLeftOut(needs, await recordOf(backup, signal), database, signal)),
      ),
    onScratchDatabase: async (backup, request, work, signal) =>
      reading(backup.label, signal, async () => onScratchDatabase(needs, await recordOf(backup, signal), request, work, signal)),
    verify: (backup, signal, { test = false, isTrusted = false } = { deep: false }) =>
      inWords(`verify ${backup.label}`, async () => {
        const { label } = backup;
        const record = await recordOf(backup, signal);
        const verifiedAt = system.clock.now().toISOString();
        await reading(label, signal, () => verify(record, { test, isTrusted }, signal)).catch(async (cause: unknown) => {
          if (cause instanceof DbkitError && cause.code === 'data.corrupt')
            await remember(label, (now) => ({ ...now, state: 'damaged', verifiedAt, problem: cause.message }), signal);
          throw cause;
        });
        const proven = test ? { state: 'proven' as const, provenAt: verifiedAt } : {};
        const state = record.provenAt === null ? ('verified' as const) : ('proven' as const);
        await remember(label, (now) => ({ ...now, state, verifiedAt, problem: null, ...proven }), signal);
      }),
  };
}
