import { describe, expect, test } from 'vitest';
import type { Finding, FindingCode } from '../../src/inspection/findings.ts';
import { climb, type RungId } from '../../src/recovery/ladder.ts';
import type { Facts } from '../../src/recovery/ladder-facts.ts';
import { type RemedyId, remedies, remedyFor } from '../../src/recovery/remedies.ts';
import type { Answer, Case } from '../../src/recovery/remedy.ts';
import { everyRow } from '../harness/every-row.ts';
import { bareFacts } from './ladder-facts.fixture.ts';

const finding = (code: FindingCode, severity: Finding['severity'] = 'certain'): Finding => ({
  code,
  path: 'x',
  evidence: 'seen',
  severity,
});
const circumstances: Omit<Case, 'finding'> = {
  cleanShutdown: false,
  keptIsCurrent: false,
  replaysFromKept: false,
  backupIsCurrent: false,
  archiveLeadsOn: false,
  mayMendOwner: false,
  tried: false,
  reported: false,
  answering: false,
};
const found = (code: FindingCode, more: Partial<Case> = {}): Case => ({ finding: finding(code), ...circumstances, ...more });
const at = (path: string, code: FindingCode, severity?: Finding['severity']): Finding => ({ ...finding(code, severity), path });
const answer = (code: FindingCode, more: Partial<Case> = {}) => {
  const remedy = remedyFor(found(code, more));
  return remedy.then === 'repair' ? remedy.mend : remedy.then;
};
const facts = (answers: Answer[], more: Partial<Facts> = {}): Facts => ({ ...bareFacts, answers: new Set(answers), ...more });
const decision = (answers: Answer[], more: Partial<Facts> = {}) => climb(facts(answers, more)).then;

describe('what each finding asks for', () => {
  test.each([
    ['shutdown.unclean', 'start'],
    ['directory.missing', 'make-directory'],
    ['conf.broken', 'restore-configuration'],
    ['version-file.broken', 'rewrite-version-file'],
    ['catalog-index.damaged', 'rebuild-catalog-index'],
    ['signal.stray', 'set-aside-file'],
    ['replication-slot.damaged', 'set-aside-slot'],
    ['replication-origin.damaged', 'set-aside-file'],
    ['directory.lost', 'replace'],
    ['page.damaged', 'serve'],
    ['version.mismatch', 'refuse'],
    ['volume.full', 'refuse'],
    ['server.running', 'refuse'],
  ] as const)('%s asks for %s', (code, expected) => {
    expect(answer(code)).toBe(expected);
  });

  test.each(['conf.missing', 'conf.broken'] as const)('%s never leads to other data, however often it was mended', (code) => {
    expect(answer(code, { tried: true, reported: true })).toBe('refuse');
  });

  test('a kept file is only brought back when it is proven current', () => {
    expect(answer('control.damaged', { keptIsCurrent: true })).toBe('bring-back-kept-file');
    expect(answer('control.damaged')).toBe('replace');
  });

  test('WAL is only begun anew after a clean shutdown', () => {
    expect(answer('wal.missing', { cleanShutdown: true })).toBe('reset-wal');
    expect(answer('wal.missing')).toBe('replace');
  });

  test('whether a catalog can be missed is the server’s to say, once', () => {
    expect(answer('catalog.missing')).toBe('start');
    expect(answer('catalog.missing', { reported: true })).toBe('replace');
    expect(answer('catalog.missing', { tried: true })).toBe('replace');
  });

  test('damage within one database costs no other', () => {
    const inOne = { finding: { ...finding('catalog.missing'), path: 'base/16384/1259' }, reported: true };
    expect(answer('catalog.missing', inOne)).toBe('serve');
  });

  test('missing transaction status is never left to crash recovery, which reads it as zeroes', () => {
    expect(answer('slru.damaged')).toBe('replace');
  });

  test('the owner is mended by those who may, and refused by those who may not', () => {
    expect(answer('owner.wrong', { mayMendOwner: true })).toBe('mend-permissions');
    expect(answer('owner.wrong')).toBe('refuse');
  });
});

describe('the ladder', () => {
  test('a crash is not corruption', () => expect(decision(['start'])).toBe('start'));
  test('a repair comes before anything that replaces', () => expect(decision(['repair', 'start'])).toBe('repair'));
  test('a refusal wins over every remedy', () => expect(decision(['replace', 'refuse'], { backup: 'data_x' })).toBe('refuse'));
  test('a backup wins over starting anew', () => expect(decision(['replace'], { backup: 'data_x' })).toBe('restore'));
  test('starting anew is the last rung', () => expect(decision(['replace'])).toBe('reinitialize'));
  test('a limit on the ladder is kept', () => {
    expect(decision(['replace'], { allow: ['repair', 'restore'] })).toBe('refuse');
    expect(decision(['repair'], { allow: ['restore'] })).toBe('refuse');
    expect(decision(['replace'], { allow: ['repair', 'reinitialize'], backup: 'data_x' })).toBe('reinitialize');
  });
  test('the circuit breaker stops what replaces, not what repairs', () => {
    expect(decision(['replace'], { replacements: 3, backup: 'data_x' })).toBe('refuse');
    expect(decision(['repair'], { replacements: 3 })).toBe('repair');
  });
  test('damaged user data is served around, and restored only when no row is lost', () => {
    expect(decision(['serve'])).toBe('start');
    expect(decision(['serve'], { backup: 'data_x' })).toBe('start');
    expect(decision(['serve'], { backup: 'data_x', rollsForward: true })).toBe('restore');
  });
  test('an empty directory is a first boot, unless a backup exists', () => {
    expect(decision([], { state: 'empty' })).toBe('initialize');
    expect(decision([], { state: 'empty', backup: 'data_x' })).toBe('restore');
    expect(decision([], { state: 'unfinished' })).toBe('initialize');
  });
  test('what is not PostgreSQL’s is never touched, whoever asks', () => {
    expect(decision([], { state: 'foreign', wish: 'reinitialize' })).toBe('refuse');
  });
  test('a person may choose the rung', () => {
    expect(decision([], { wish: 'reinitialize', replacements: 9 })).toBe('reinitialize');
    expect(decision([], { wish: 'restore' })).toBe('refuse');
    expect(decision([], { wish: 'restore', backup: 'data_x' })).toBe('restore');
    expect(decision(['replace'], { wish: 'repair' })).toBe('refuse');
  });
});

const suspect = (code: FindingCode): Finding => finding(code, 'suspect');
everyRow<RemedyId, Case>('remedies', remedyFor, {
  'server-runs': found('server.running'),
  'data-of-another-program': found('data.foreign'),
  'emptied-under-a-server': found('data.emptied'),
  'data-not-mounted': found('data.unmounted'),
  'old-half-of-an-upgrade': found('upgrade.old-half'),
  'no-file-where-one-is-opened': found('entry.no-file'),
  'serves-another-directory': found('conf.elsewhere'),
  'other-major-version': found('version.mismatch'),
  'volume-full': found('volume.full'),
  'volume-read-only': found('volume.read-only'),
  'setting-not-possible-here': found('server.settings'),
  'disk-does-not-answer': found('file.unreadable'),
  'permissions-wrong': found('mode.wrong', { mayMendOwner: true }),
  'owner-of-another-user': found('owner.wrong'),
  'mode-of-another-user': found('mode.wrong'),
  'not-corruption': found('shutdown.unclean'),
  'entry-of-somebody-else': found('entry.foreign'),
  'times-changed': found('times.differ'),
  'shared-catalog-not-needed': found('catalog.missing', { finding: at('global/2396', 'catalog.missing'), answering: true, reported: true }),
  'configuration-gone': found('conf.missing', { tried: true }),
  'configuration-still-broken': found('conf.broken', { tried: true }),
  'repair-did-not-help': found('version-file.broken', { tried: true }),
  'database-still-damaged': found('catalog-index.damaged', { finding: at('base/5/2662', 'catalog-index.damaged'), tried: true }),
  'empty-directory-gone': found('directory.missing'),
  'tablespace-link-gone': found('tablespace.unlinked'),
  'junk-among-tablespaces': found('tablespace.junk'),
  'file-for-a-database': found('database.file'),
  'folder-for-a-relation': found('relation.folder'),
  'folder-for-an-init-fork': found('init-fork.folder'),
  'folder-was-moved': found('relation.folder', { finding: suspect('relation.folder') }),
  'folder-cannot-be-moved': found('relation.folder', { finding: at('base/5/16384', 'relation.folder'), tried: true }),
  'not-made-and-not-missed': found('empty-file.missing', { tried: true }),
  'empty-file-gone': found('empty-file.missing'),
  'version-file-broken': found('version-file.broken'),
  'backup-holds-the-bytes': found('relation.missing', { backupIsCurrent: true }),
  'kept-copy-is-current': found('control.damaged', { keptIsCurrent: true }),
  'configuration-broken': found('conf.broken'),
  'cache-damaged': found('cache.damaged'),
  'signal-file-stray': found('signal.stray'),
  'backup-label-after-clean-stop': found('backup-label.stray', { cleanShutdown: true }),
  'backup-label-without-wal': found('backup-label.stray'),
  'wal-not-mounted': found('wal-link.dangling'),
  'slot-damaged': found('replication-slot.damaged'),
  'origins-damaged': found('replication-origin.damaged'),
  'wal-may-come-from-upstream': found('wal.missing', { finding: suspect('wal.missing') }),
  'wal-not-needed': found('wal.damaged', { cleanShutdown: true }),
  'catalog-index-after-crash': found('catalog-index.damaged', { finding: suspect('catalog-index.damaged') }),
  'catalog-index-damaged': found('catalog-index.damaged'),
  'control-file-contradicted': found('control.contradicted'),
  'kept-copies-and-wal': found('slru.damaged', { replaysFromKept: true }),
  'archive-leads-on': found('wal.gap', { archiveLeadsOn: true }),
  'control-file-outdated': found('control.outdated'),
  'wal-behind-a-gap': found('wal.gap'),
  'prepared-transaction-damaged': found('prepared.damaged'),
  'transaction-status-suspect': found('slru.damaged', { finding: suspect('slru.damaged'), cleanShutdown: true }),
  'crash-recovery-may-mend': found('relation.truncated', { finding: suspect('relation.truncated') }),
  'database-damaged': found('filenode-map.damaged', { finding: at('base/5/pg_filenode.map', 'filenode-map.damaged') }),
  'running-server-rebuilds': found('index.damaged', { finding: at('base/5/16390', 'index.damaged') }),
  'table-or-index-gone': found('relation.missing', { finding: at('base/5/16384', 'relation.missing') }),
  'shared-catalog-damaged': found('page.damaged', { finding: at('global/1260', 'page.damaged'), reported: true }),
  'shared-catalog-emptied': found('catalog.missing', { finding: { ...at('global/1262', 'catalog.missing'), isEmpty: true } }),
  'catalog-gone': found('catalog.missing'),
  'tablespace-needed': found('tablespace.dangling'),
  'tablespace-not-mounted': found('tablespace.dangling', { cleanShutdown: true }),
  'damage-is-served-around': found('page.damaged'),
  'cannot-run-without': found('control.damaged'),
});

everyRow<RungId, Facts>('the ladder', climb, {
  'foreign-directory': facts([], { state: 'foreign' }),
  'finding-forbids-start': facts(['refuse']),
  'damaged-without-backup-to-restore': facts(['replace'], { wish: 'restore' }),
  'no-backup-to-restore': facts([], { wish: 'restore' }),
  'dump-asked-for': facts(['replace'], { wish: 'restore', dump: 'dump_x' }),
  'restore-asked-for': facts([], { wish: 'restore', backup: 'data_x' }),
  'reinitialize-asked-for': facts([], { wish: 'reinitialize' }),
  'repair-not-possible': facts(['replace'], { wish: 'repair' }),
  'empty-with-backup': facts([], { state: 'empty', backup: 'data_x' }),
  'empty-with-damaged-backup': facts([], { state: 'empty', partial: 'data_x', dump: 'dump_x' }),
  'empty-with-dump': facts([], { state: 'empty', dump: 'dump_x' }),
  'backups-not-mounted': facts(['replace'], { backupsUnmounted: true }),
  'backups-not-readable': facts(['replace'], { backupsUnreadable: true, dump: 'dump_x' }),
  'empty-where-an-instance-was': facts([], { state: 'empty', known: true }),
  'first-boot': facts([], { state: 'empty' }),
  'dump-interrupted': facts([], { state: 'unfinished', dump: 'dump_x' }),
  'initialization-interrupted': facts([], { state: 'unfinished' }),
  'archive-not-readable': facts(['repair'], { archiveUnreadable: true }),
  'damage-is-not-evident': facts(['replace'], { evident: false, backup: 'data_x' }),
  'follower-damaged': facts(['replace'], { follows: true, backup: 'data_x' }),
  'replaced-too-often': facts(['replace'], { replacements: 3, backup: 'data_x' }),
  'damaged-with-backup': facts(['replace'], { backup: 'data_x' }),
  'index-not-rebuilt': facts(['replace'], { onlyIndexes: true, partial: 'data_x', dump: 'dump_x' }),
  'damaged-with-damaged-backup': facts(['replace'], { partial: 'data_x', dump: 'dump_x' }),
  'damaged-with-dump': facts(['replace'], { dump: 'dump_x' }),
  'damaged-without-backup': facts(['replace']),
  'replacing-not-allowed': facts(['replace'], { allow: ['repair'] }),
  'restore-loses-nothing': facts(['serve'], { backup: 'data_x', rollsForward: true }),
  'repair-not-allowed': facts(['repair'], { allow: [] }),
  'repair-in-place': facts(['repair']),
  'damage-is-reported': facts(['serve']),
  sound: facts(['start']),
});

test('repairs are carried out in the order that the table has', () => {
  const order = remedies.flatMap((remedy) => (remedy.then === 'repair' ? [remedy.mend] : []));
  const first = [...new Set(order)];
  expect(first[0], 'nothing can be read before it').toBe('mend-permissions');
  expect(first.slice(-2), 'it needs a server that can start').toEqual(['reset-wal', 'rebuild-catalog-index']);
});
