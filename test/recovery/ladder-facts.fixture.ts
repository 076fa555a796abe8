import type { Facts } from '../../src/recovery/ladder-facts.ts';

/** A cluster about which nothing is known that decides anything: without backups, with every rung allowed. */
export const bareFacts: Facts = {
  state: 'cluster',
  answers: new Set(),
  backup: undefined,
  partial: undefined,
  dump: undefined,
  rollsForward: false,
  archiveUnreadable: false,
  evident: true,
  onlyIndexes: false,
  follows: false,
  replacements: 0,
  maxReplacements: 3,
  allow: ['repair', 'restore', 'reinitialize'],
  wish: undefined,
  known: false,
  backupsUnmounted: false,
  backupsUnreadable: false,
};
