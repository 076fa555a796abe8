import type { BaseBackupsNeeds } from './base/base-backups.ts';
import { baseBackupRecords } from './base/record.ts';
import { dumpRecords } from './dump/record.ts';
import { openRepository } from './repository.ts';

/** Of both kinds: most commands list backups, and make or read none. */
export function openRepositories({ config, system, owner }: BaseBackupsNeeds) {
  const needs = { config, system, owner: system.self.uid === 0 ? owner : undefined };
  return { base: openRepository(baseBackupRecords, needs), dumps: openRepository(dumpRecords, needs) };
}
