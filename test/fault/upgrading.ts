import type { Instance } from '../harness/instance.ts';
import { dumpable, installed } from '../harness/majors.ts';

const [newest] = installed;

/** Majors older than Debian's newest, whose servers this machine's pg_dump reads. */
export const oldMajors: readonly number[] = dumpable.map(({ major }) => major).filter((major) => major < (newest?.major ?? 0));

/** The image was updated: the programs are those of the newest major. */
export const upgradeEnvironment = (): Record<string, string> => ({ POSTGRES_BIN_DIR: newest?.directory ?? '' });

/** `dbkit upgrade` from the instance's own programs. */
export const upgradeWords = ({ programs }: Instance): readonly string[] => ['upgrade', '--old-bin-dir', programs.directory, '--yes'];
