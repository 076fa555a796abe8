import { DbkitError } from '../kernel/errors.ts';

export interface Version {
  readonly major: number;
  readonly minor: number;
}

/** Debian 12 has it; what dbkit uses of pgBackRest is all there (annotate, verify, bundles). */
export const oldest: Version = { major: 2, minor: 45 };

/** Later than that: the version that brought it, and what it is. */
export const features = {
  'block-incremental': { from: { major: 2, minor: 46 }, words: 'of a file that changed only blocks are stored (repo-block)' },
  'verify-one': { from: { major: 2, minor: 55 }, words: 'one backup is verified by itself (verify --set)' },
} as const satisfies Readonly<Record<string, { readonly from: Version; readonly words: string }>>;

export type Feature = keyof typeof features;

const isAtLeast = (version: Version, from: Version): boolean =>
  version.major > from.major || (version.major === from.major && version.minor >= from.minor);

export const has = (version: Version, feature: Feature): boolean => isAtLeast(version, features[feature].from);

/** 'pgBackRest 2.45' or 'pgBackRest 2.55.1'. Throws `program.unusable` for an older one, and for what is something else. */
export function parseVersion(said: string, program: string): Version {
  const [, major, minor] = /^pgBackRest (\d{1,4})\.(\d{1,4})(?:\.\d+)?(?:dev|beta)?\s*$/i.exec(said) ?? [];
  if (major === undefined || minor === undefined)
    throw new DbkitError('program.unusable', `${program} is not pgBackRest`, { hint: 'set pgbackrest.program to where it is' });
  const version = { major: Number(major), minor: Number(minor) };
  if (isAtLeast(version, oldest)) return version;
  throw new DbkitError('program.unusable', `${program} is pgBackRest ${major}.${minor}, which is older than 2.45`, {
    hint: 'install a newer pgBackRest, or set backup.engine to dbkit',
  });
}
