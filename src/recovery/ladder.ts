import { decide, type Refusal } from '../kernel/reasons.ts';
import type { Decision, Facts, Strategy } from './ladder-facts.ts';
import type { Answer } from './remedy.ts';

/** One rung, with the circumstances in which it is taken. */
export type Rung = { readonly id: string; readonly when: (facts: Facts) => boolean; readonly words: string } & (
  | { readonly then: Exclude<Decision, 'refuse'> }
  | { readonly then: 'refuse'; readonly refusal: Refusal }
);

const asks = (answer: Answer) => (facts: Facts) => facts.answers.has(answer);
const mustReplace = (facts: Facts): boolean => facts.state === 'cluster' && facts.answers.has('replace');
const onlyPartial = ({ backup, partial }: Facts): boolean => backup === undefined && partial !== undefined;
const hasNone = ({ backup, partial }: Facts): boolean => backup === undefined && partial === undefined;
const onlyDump = (facts: Facts): boolean => hasNone(facts) && facts.dump !== undefined;
const tooOften = ({ replacements, maxReplacements }: Facts): boolean => replacements >= maxReplacements;
const wants = (strategy: Strategy) => (facts: Facts) => facts.wish === strategy;
const chooseYourself =
  '`dbkit recover --dry-run` shows the evidence, `dbkit recover --strategy restore|reinitialize` chooses; nothing was changed';
const backupsThereAre = '`dbkit maintenance list-backups` shows what there is; nothing was changed';
const noBackup = 'there is no good backup to restore';

/** First match wins: what is not ours, a person's wish, a first boot, the circuit breaker, what replaces data, what mends it, what harms nothing. */
const rows = [
  {
    id: 'foreign-directory',
    when: ({ state }) => state === 'foreign',
    then: 'refuse',
    words: 'the directory holds something that is not PostgreSQL’s',
    refusal: { code: 'data.foreign', hint: 'set PGDATA to the data directory; nothing was changed' },
  },
  {
    id: 'finding-forbids-start',
    when: asks('refuse'),
    then: 'refuse',
    words: 'this is not corruption, and a start would not help',
    refusal: { code: 'recovery.refused', hint: '`dbkit inspect` shows everything that was seen' },
  },
  {
    id: 'dump-asked-for',
    when: (facts) => wants('restore')(facts) && onlyDump(facts) && (mustReplace(facts) || facts.state === 'empty'),
    then: 'restore',
    words: 'a person asked for a restore, and the newest dump is all that there is',
  },
  {
    id: 'damaged-without-backup-to-restore',
    when: (facts) => wants('restore')(facts) && hasNone(facts) && facts.answers.has('replace'),
    then: 'refuse',
    words: noBackup,
    refusal: { code: 'data.corrupt', hint: backupsThereAre },
  },
  {
    id: 'no-backup-to-restore',
    when: (facts) => wants('restore')(facts) && hasNone(facts),
    then: 'refuse',
    words: noBackup,
    refusal: { code: 'recovery.refused', hint: backupsThereAre },
  },
  { id: 'restore-asked-for', when: wants('restore'), then: 'restore', words: 'a person asked for the newest backup' },
  { id: 'reinitialize-asked-for', when: wants('reinitialize'), then: 'reinitialize', words: 'a person asked for a new, empty instance' },
  {
    id: 'repair-not-possible',
    when: (facts) => wants('repair')(facts) && mustReplace(facts),
    then: 'refuse',
    words: 'what is damaged cannot be repaired in place',
    refusal: { code: 'data.corrupt', hint: chooseYourself },
  },
  {
    id: 'backups-not-readable',
    when: (facts) => facts.backupsUnreadable && (facts.state === 'unfinished' || facts.state === 'empty' || mustReplace(facts)),
    then: 'refuse',
    words: 'backups cannot be read, so nobody knows what they hold',
    refusal: {
      code: 'recovery.refused',
      hint: 'look at BACKUP_DIR first, at its owner and its disk (`ls -l`, `dmesg`); `dbkit recover --strategy restore|reinitialize` goes on without them; nothing was changed',
    },
  },
  {
    id: 'empty-with-backup',
    when: ({ state, backup, allow }) => state === 'empty' && backup !== undefined && allow.includes('restore'),
    then: 'restore',
    words: 'the directory is empty and a good backup exists',
  },
  {
    id: 'empty-with-damaged-backup',
    when: (facts) => facts.state === 'empty' && onlyPartial(facts) && facts.allow.includes('restore'),
    then: 'restore',
    words: 'the directory is empty, and every backup is damaged: what the newest one holds is restored',
  },
  {
    id: 'empty-with-dump',
    when: (facts) => facts.state === 'empty' && onlyDump(facts) && facts.allow.includes('restore'),
    then: 'restore',
    words: 'the directory is empty, and of its databases there is a dump',
  },
  {
    id: 'backups-not-mounted',
    when: (facts) => facts.backupsUnmounted && facts.backup === undefined && (facts.state !== 'cluster' || mustReplace(facts)),
    then: 'refuse',
    words: 'the backups are on a volume that is not mounted',
    refusal: {
      code: 'recovery.refused',
      hint: 'mount the volume of BACKUP_DIR first; `dbkit recover --strategy reinitialize` goes on without them; nothing was changed',
    },
  },
  {
    id: 'empty-where-an-instance-was',
    when: ({ state, known }) => state === 'empty' && known,
    then: 'refuse',
    words: 'the directory is empty, and dbkit knows an instance that was here: this is no first boot',
    refusal: {
      code: 'recovery.refused',
      hint: 'mount its volume, or restore it (`dbkit backup list`); `dbkit recover --strategy reinitialize` begins a new instance; nothing was changed',
    },
  },
  { id: 'first-boot', when: ({ state }) => state === 'empty', then: 'initialize', words: 'the directory is empty: a first boot' },
  {
    id: 'dump-interrupted',
    when: (facts) => facts.state === 'unfinished' && onlyDump(facts),
    then: 'restore',
    words: 'the restore of a dump was interrupted before it was durable',
  },
  {
    id: 'initialization-interrupted',
    when: ({ state }) => state === 'unfinished',
    then: 'initialize',
    words: 'an initialisation was interrupted before it held any data',
  },
  {
    id: 'archive-not-readable',
    when: ({ archiveUnreadable, wish }) => archiveUnreadable && wish === undefined,
    then: 'refuse',
    words: 'WAL is missing here, and the archive that may have it cannot be read',
    refusal: {
      code: 'recovery.refused',
      hint: 'mount the volume of BACKUP_DIR, or look at its disk (`dmesg`); `dbkit recover --strategy repair` goes on without it; nothing was changed',
    },
  },
  {
    id: 'damage-is-not-evident',
    when: (facts) => mustReplace(facts) && !facts.evident,
    then: 'refuse',
    words: 'neither PostgreSQL nor the files show that the data is damaged, so nothing is replaced',
    refusal: { code: 'recovery.refused', hint: chooseYourself },
  },
  {
    id: 'follower-damaged',
    when: (facts) => mustReplace(facts) && facts.follows,
    then: 'refuse',
    words: 'this server follows another one, which has what is damaged here',
    refusal: {
      code: 'data.corrupt',
      hint: 'copy this standby again from its primary (pg_basebackup), or promote it only if the primary is lost; nothing was changed',
    },
  },
  {
    id: 'replaced-too-often',
    when: (facts) => mustReplace(facts) && tooOften(facts),
    then: 'refuse',
    words: 'the data was replaced too often within the last hour; a person must look',
    refusal: { code: 'recovery.refused', hint: chooseYourself },
  },
  {
    id: 'damaged-with-backup',
    when: (facts) => mustReplace(facts) && facts.backup !== undefined && facts.allow.includes('restore'),
    then: 'restore',
    words: 'the damage cannot be repaired in place, and a good backup exists',
  },
  {
    id: 'index-not-rebuilt',
    when: (facts) => mustReplace(facts) && facts.backup === undefined && facts.onlyIndexes,
    then: 'refuse',
    words: 'an index of a system catalog could not be rebuilt; every row is in the tables, and no good backup exists',
    refusal: {
      code: 'data.corrupt',
      hint: '`dbkit recover` tries again, `dbkit salvage` reads the tables without it; nothing was changed',
    },
  },
  {
    id: 'damaged-with-damaged-backup',
    when: (facts) => mustReplace(facts) && onlyPartial(facts) && facts.allow.includes('restore'),
    then: 'restore',
    words: 'the damage cannot be repaired in place, and every backup is damaged: what the newest one holds is restored',
  },
  {
    id: 'damaged-with-dump',
    when: (facts) => mustReplace(facts) && onlyDump(facts) && facts.allow.includes('restore'),
    then: 'restore',
    words: 'the damage cannot be repaired in place, and there is no backup but a dump',
  },
  {
    id: 'damaged-without-backup',
    when: (facts) => mustReplace(facts) && facts.allow.includes('reinitialize'),
    then: 'reinitialize',
    words: 'the damage cannot be repaired in place, and there is no backup to restore',
  },
  {
    id: 'replacing-not-allowed',
    when: mustReplace,
    then: 'refuse',
    words: 'the damage cannot be repaired in place, and replacing the data is not allowed here',
    refusal: { code: 'data.corrupt', hint: chooseYourself },
  },
  {
    id: 'restore-loses-nothing',
    when: (facts) =>
      facts.answers.has('serve') &&
      facts.evident &&
      facts.backup !== undefined &&
      facts.rollsForward &&
      facts.allow.includes('restore') &&
      !tooOften(facts),
    then: 'restore',
    words: 'a file is damaged, and the backup with the WAL since then holds every row',
  },
  {
    id: 'repair-not-allowed',
    when: (facts) => facts.answers.has('repair') && facts.wish !== 'repair' && !facts.allow.includes('repair'),
    then: 'refuse',
    words: 'a repair in place would mend it, but repairs are not allowed here',
    refusal: {
      code: 'recovery.refused',
      hint: '`dbkit recover --strategy repair` does it once, `repair` in recovery.allow always; nothing was changed',
    },
  },
  { id: 'repair-in-place', when: asks('repair'), then: 'repair', words: 'each finding has exactly one right answer' },
  {
    id: 'damage-is-reported',
    when: asks('serve'),
    then: 'start',
    words: 'the server can run; what is damaged is reported, and every other row is there',
  },
  { id: 'sound', when: () => true, then: 'start', words: 'sound, perhaps after a crash: PostgreSQL replays its own WAL' },
] as const satisfies readonly Rung[];

export type RungId = (typeof rows)[number]['id'];
export const ladder: readonly (Rung & { readonly id: RungId })[] = rows;

/** Which rung of the ladder: the row of the table. */
export const climb = (facts: Facts): Rung & { readonly id: RungId } => decide(ladder, facts);

/** The rungs by which a new cluster is filled from a dump. */
export const fromDump: ReadonlySet<string> = new Set<RungId>([
  'dump-asked-for',
  'empty-with-dump',
  'dump-interrupted',
  'damaged-with-dump',
]);
