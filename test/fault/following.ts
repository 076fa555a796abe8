import { appendFile, mkdir, rename } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { serverUser } from '../harness/as-user.ts';
import { write } from '../harness/breaking.ts';
import { ownedBy } from '../harness/files.ts';
import type { Instance } from '../harness/instance.ts';
import { checkpointSegment } from './wal.ts';

/** Makes the crashed instance one that recovers from an archive, and moves its checkpoint's WAL to `archive` beside it. */
export async function followAnArchive(instance: Instance, restoreCommand: (archive: string) => string): Promise<void> {
  const archive = join(instance.root, 'archive');
  await mkdir(archive);
  const segment = await checkpointSegment(instance);
  await rename(join(instance.dataDir, segment), join(archive, basename(segment)));
  await ownedBy(archive, serverUser);
  await write(instance, 'recovery.signal', '');
  await appendFile(join(instance.dataDir, 'postgresql.auto.conf'), `restore_command = '${restoreCommand(archive)}'\n`);
}
