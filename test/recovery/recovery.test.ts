import { describe, expect, test } from 'vitest';
import type { Finding, FindingCode } from '../../src/inspection/findings.ts';
import { type Facts, ladder, planRecovery } from '../../src/recovery/ladder.ts';
import { type Answer, answerFor, type Case } from '../../src/recovery/remedies.ts';

const finding = (code: FindingCode, severity: Finding['severity'] = 'certain'): Finding => ({
  code,
  path: 'x',
  evidence: 'seen',
  severity,
});
const answer = (code: FindingCode, circumstances: Partial<Case> = {}) =>
  answerFor({
    finding: finding(code),
    cleanShutdown: false,
    keptIsCurrent: false,
    backupIsCurrent: false,
    mayMendOwner: false,
    tried: false,
    reported: false,
    answering: false,
    ...circumstances,
  }).answer;
const facts = (answers: Answer[], more: Partial<Facts> = {}): Facts => ({
  state: 'cluster',
  answers: new Set(answers),
  backup: undefined,
  rollsForward: false,
  follows: false,
  replacements: 0,
  maxReplacements: 3,
  allow: ['repair', 'restore', 'reinitialize'],
  wish: undefined,
  ...more,
});
const decision = (answers: Answer[], more: Partial<Facts> = {}) => planRecovery(facts(answers, more)).decision;

describe('what each finding asks for', () => {
  test.each([
    ['shutdown.unclean', 'start'],
    ['directory.missing', 'make-directory'],
    ['conf.broken', 'restore-configuration'],
    ['version-file.broken', 'rewrite-version-file'],
    ['catalog-index.damaged', 'rebuild-catalog-index'],
    ['signal.stray', 'set-aside-file'],
    ['replication-slot.damaged', 'set-aside-slot'],
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
  test('a repair comes before anything that replaces', () => expect(decision(['make-directory', 'start'])).toBe('repair'));
  test('a refusal wins over every remedy', () => expect(decision(['replace', 'refuse'], { backup: 'data_x' })).toBe('refuse'));
  test('a backup wins over starting anew', () => expect(decision(['replace'], { backup: 'data_x' })).toBe('restore'));
  test('starting anew is the last rung', () => expect(decision(['replace'])).toBe('reinitialize'));
  test('a limit on the ladder is kept', () => {
    expect(decision(['replace'], { allow: ['repair', 'restore'] })).toBe('refuse');
    expect(decision(['make-directory'], { allow: ['restore'] })).toBe('refuse');
    expect(decision(['replace'], { allow: ['repair', 'reinitialize'], backup: 'data_x' })).toBe('reinitialize');
  });
  test('the circuit breaker stops what replaces, not what repairs', () => {
    expect(decision(['replace'], { replacements: 3, backup: 'data_x' })).toBe('refuse');
    expect(decision(['make-directory'], { replacements: 3 })).toBe('repair');
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
  test('every row has a reason of its own', () => {
    const reasons = ladder.map(([, , because]) => because);
    expect(new Set(reasons).size).toBe(reasons.length);
  });
});
