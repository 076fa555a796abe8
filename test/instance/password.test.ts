import { expect, test } from 'vitest';
import { isVerifierOf, scramVerifier } from '../../src/instance/server/application.ts';
import { type FirstPasswordFacts, firstPasswordRows } from '../../src/instance/server/first-password.ts';
import { decide } from '../../src/kernel/reasons.ts';
import { everyRow } from '../harness/every-row.ts';

test('a stored verifier is recognised, whatever its salt, and no other password’s is', () => {
  const stored = scramVerifier('pässword "$1');
  expect(scramVerifier('pässword "$1'), 'salted').not.toBe(stored);
  expect(isVerifierOf(stored, 'pässword "$1', 'clerk')).toBe(true);
  expect(isVerifierOf(stored, 'password', 'clerk')).toBe(false);
});

test('an md5 hash of old is recognised too, and no password is none', () => {
  expect(isVerifierOf('md561d43ae121c5305bb13ffc95755d683e', 'pencil', 'clerk')).toBe(true);
  expect(isVerifierOf('md561d43ae121c5305bb13ffc95755d683e', 'pencil', 'other')).toBe(false);
  expect(isVerifierOf(null, 'pencil', 'clerk')).toBe(false);
});

everyRow<(typeof firstPasswordRows)[number]['id'], FirstPasswordFacts>('the first password', (facts) => decide(firstPasswordRows, facts), {
  'password-given': { isGiven: true, listens: '*' },
  'loopback-only': { isGiven: false, listens: 'localhost, 127.0.0.1,::1' },
  'others-reach-it': { isGiven: false, listens: 'localhost,10.0.0.5' },
});

test.each([
  ['', 'default'],
  ['*', 'none'],
  ['0.0.0.0', 'none'],
  ['localhost.example.org', 'none'],
  ['127.0.0.1.nip.io', 'none'],
  ['localhost,::', 'none'],
])('a server that listens on %j: %s', (listens, then) => expect(decide(firstPasswordRows, { isGiven: false, listens }).then).toBe(then));
