import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'valibot';
import type { BackupRun } from '../../src/backups/base/begin-copy.ts';
import { freshBytes, oldPages } from '../../src/backups/base/pages/choose.ts';
import { takeOver } from '../../src/backups/base/pages/take-over.ts';
import { baseBackupRecords, type WholeRecord } from '../../src/backups/base/record.ts';
import { copyFile } from '../../src/backups/copy-file.ts';
import { openRepository } from '../../src/backups/repository.ts';
import { configSchema } from '../../src/config/config.ts';
import { fromText, join as joinBytes } from '../../src/formats/byte-path.ts';
import { loadZstdSync } from '../../src/formats/zstd.ts';
import { createSystem } from '../../src/machine/machine.ts';

const signal = new AbortController().signal;
const quiet = (): void => undefined;

/** One backup out of files that lie there already: the next one is made of `source`; `label` undefined: only the lock is taken. */
export async function takeNext(backupDir: string, source: string, label: string | undefined): Promise<void> {
  const system = await createSystem({ debug: quiet, info: quiet, warn: quiet, error: quiet, progress: quiet }, process.env);
  const config = parse(configSchema, { backupDir, stateDir: join(backupDir, '../state'), backup: { pages: true } });
  const repository = openRepository(baseBackupRecords, { config, owner: undefined, system });
  await loadZstdSync();
  const work = async (): Promise<void> => {
    if (label === undefined) return;
    const records = await repository.records(signal);
    const earlier = (await repository.wholeOf(records.at(-1)!, signal))!;
    const staging = fromText(repository.stagingOf(label));
    for (const folder of ['', 'global', 'base', '.pages']) mkdirSync(join(repository.stagingOf(label), folder), { recursive: true });
    const run: Pick<BackupRun, 'repository' | 'staging' | 'label' | 'system' | 'owner' | 'earlier'> = {
      repository,
      staging,
      label,
      system,
      owner: undefined,
      earlier,
    };
    const copy = (path: string, number: number | undefined) => {
      const [from, to] = [joinBytes(fromText(source), fromText(path)), joinBytes(staging, fromText(path))];
      const before = joinBytes(fromText(repository.pathOf(earlier.label)), fromText(path));
      return copyFile({
        path: fromText(path),
        from,
        to,
        sizeBytes: 1,
        sizeMaxBytes: Number.MAX_SAFE_INTEGER,
        mode: 0o600,
        owner: undefined,
        pages: undefined,
        sync: true,
        against:
          number === undefined
            ? undefined
            : { how: 'delta', number, earlier: before, old: oldPages(staging, number), fresh: freshBytes(staging, number) },
      }).copied!;
    };
    copy('global/pg_control', undefined);
    const files = ['base/1', 'base/2'].map((path, index) => {
      const { sizeBytes, compared } = copy(path, index + 1);
      if (compared === undefined) throw new Error('too much has changed for this test');
      return { path: fromText(path), number: index + 1, sizeBytes, changedPages: compared.changedPages };
    });
    const record: WholeRecord = { ...earlier, label, schema: 'dbkit.backup/v1', packed: [] };
    await takeOver(run, { files, isGood: true }, () => repository.publish(record), signal);
  };
  await repository.locked('a test', work, signal);
}
