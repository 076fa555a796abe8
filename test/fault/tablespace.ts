import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { serverUser } from '../harness/as-user.ts';
import { ask } from '../harness/ask.ts';
import { makeDirectory } from '../harness/files.ts';
import type { Instance } from '../harness/instance.ts';

export const place = ({ root }: Instance): string => join(root, 'space');

/** A tablespace outside PGDATA, as on a second disk. */
export async function makeTablespace(instance: Instance): Promise<void> {
  await makeDirectory(place(instance), serverUser, 0o700);
  await ask(instance, 'app', `CREATE TABLESPACE space LOCATION '${place(instance)}'`);
}

/** The second disk is not mounted. */
export const loseTablespace = (instance: Instance): Promise<void> => rm(place(instance), { recursive: true });
