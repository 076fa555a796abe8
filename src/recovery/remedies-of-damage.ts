import { always, clean, inOneDatabase, isShared, type Remedy, refuses, replaces, served, starts, suspect, unheard } from './remedy.ts';

/** Pages of a table that are gone or wrong: whatever is lost with them, the others are there. */
const pages = ['relation.missing', 'relation.truncated', 'relation.changed', 'page.damaged', 'page.lost'] as const;

/** Damage that the server can live without, and what it cannot. */
export const damage = [
  {
    id: 'transaction-status-suspect',
    findings: ['slru.damaged'],
    when: (c) => suspect(c) && clean(c) && unheard(c),
    ...served,
    words: 'the server runs, and says which rows it cannot judge',
  },
  {
    id: 'crash-recovery-may-mend',
    findings: ['slru.damaged', 'catalog.missing', 'filenode-map.damaged', 'database.missing', 'index.damaged', ...pages],
    when: (c) => suspect(c) && unheard(c),
    ...starts,
    words: 'crash recovery may still mend it',
  },
  {
    id: 'database-damaged',
    findings: ['catalog.missing', 'filenode-map.damaged'],
    when: inOneDatabase,
    ...served,
    words: 'one database cannot be used; the server and every other database run',
  },
  {
    id: 'running-server-rebuilds',
    findings: ['index.damaged'],
    when: unheard,
    ...starts,
    words: 'the running server rebuilds it from its table',
  },
  {
    id: 'table-or-index-gone',
    findings: ['relation.missing'],
    when: ({ reported }) => !reported,
    ...starts,
    words: 'the server knows whether it was a table or an index, which can be rebuilt',
  },
  {
    id: 'shared-catalog-damaged',
    findings: ['page.damaged', 'relation.truncated', 'relation.missing'],
    when: (c) => c.reported && isShared(c),
    ...replaces,
    words: 'no session can begin without the shared catalogs',
  },
  {
    id: 'shared-catalog-emptied',
    findings: ['catalog.missing'],
    when: (c) => isShared(c) && c.finding.isEmpty === true,
    ...replaces,
    words: 'the server would read it as if nothing had ever been in it: no database and no role would be there',
  },
  {
    id: 'catalog-gone',
    findings: ['catalog.missing'],
    when: unheard,
    ...starts,
    words: 'the server itself knows whether it can run without it',
  },
  {
    id: 'tablespace-needed',
    findings: ['tablespace.dangling'],
    when: (c) => !c.cleanShutdown && !c.reported,
    ...refuses,
    words: 'crash recovery needs this tablespace',
    refusal: {
      code: 'recovery.refused',
      hint: 'crash recovery needs this tablespace: mount its volume first; nothing was changed',
    },
  },
  {
    id: 'tablespace-not-mounted',
    findings: ['tablespace.dangling', 'tablespace.unlinked'],
    when: always,
    ...served,
    words: 'the rest is sound; mount the tablespace again',
  },
  {
    id: 'damage-is-served-around',
    findings: ['index.damaged', 'database.missing', ...pages],
    when: always,
    ...served,
    words: 'the server can run, and every other row is there',
  },
  {
    id: 'cannot-run-without',
    findings: 'any',
    when: always,
    ...replaces,
    words: 'the server cannot run without it, and nothing here can rebuild it',
  },
] as const satisfies readonly Remedy[];
