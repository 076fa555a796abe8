import { expect, test } from 'vitest';
import { isVerifierOf, scramVerifier } from '../../src/instance/server/application.ts';

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
