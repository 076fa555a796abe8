/** The needs of a session: nothing that a database, a role or the server sets for sessions reaches it. */
export interface SessionNeeds {
  /**
   * 'superuser': for dbkit's own questions. 'application': as the application would ask, with the search_path that it has. 'pooler': for
   * PgBouncer's admin console, which takes no settings and is no server.
   */
  readonly as: 'superuser' | 'application' | 'pooler';
  /** The server's, where it is known: what an older one does not know is left out. */
  readonly major?: number | undefined;
  /** How long a statement may wait for a lock; absent: without end. */
  readonly lockTimeoutMs?: number | undefined;
  /** How long a statement may take; absent: without end. */
  readonly statementTimeoutMs?: number | undefined;
  /**
   * default_transaction_read_only: 'off' writes all the same, which is what a superuser's session does unless it says 'kept'; others keep it.
   * A server frozen by its owner still gets the scratch database and the restore that were asked for.
   */
  readonly readOnlyDefault?: 'kept' | 'off' | undefined;
  /** How a superuser's commits are acknowledged: 'local' by default; 'kept' waits for a standby where an application's do. */
  readonly commits?: 'kept' | 'local' | undefined;
}

interface Setting {
  readonly name: string;
  readonly value: string;
  /** The first major that knows it. */
  readonly since?: number;
  /** Only a superuser may set it, and only a superuser is at risk without it. */
  readonly superuserOnly?: boolean;
}

/**
 * The settings of a session. The startup packet wins over ALTER ROLE and ALTER DATABASE … SET (guc.h, GucSource: PGC_S_CLIENT comes after
 * PGC_S_DATABASE_USER), so none of it can be taken back by whoever owns a database (CVE-2018-1058).
 */
const always: readonly Setting[] = [
  { name: 'idle_in_transaction_session_timeout', value: '0' },
  { name: 'idle_session_timeout', value: '0', since: 14 },
  { name: 'transaction_timeout', value: '0', since: 17 },
  { name: 'DateStyle', value: 'ISO' }, // The driver reads times in this form only.
  { name: 'extra_float_digits', value: '1' }, // With fewer a count, a size or an OID comes back rounded: 200001 rows are 2e+05 with -15.
  { name: 'exit_on_error', value: 'off' }, // A statement that fails would look like a server that is gone.
];

const asSuperuser: readonly Setting[] = [
  { name: 'search_path', value: 'pg_catalog,pg_temp' },
  { name: 'role', value: 'none' },
  { name: 'default_transaction_isolation', value: 'read committed' },
  { name: 'default_transaction_deferrable', value: 'off' }, // With it a read-only transaction may wait for others without end.
  { name: 'standard_conforming_strings', value: 'on' }, // Else a backslash in dbkit's own texts is another one.
  { name: 'jit', value: 'off' }, // A question about 20,000 relations takes 35 ms, and compiling it ten times as long.
  { name: 'quote_all_identifiers', value: 'off' }, // Names are compared between databases.
  { name: 'local_preload_libraries', value: '' }, // One that is not installed lets nobody in.
  { name: 'lc_messages', value: 'C', superuserOnly: true }, // The words are matched with the triage table.
  { name: 'session_preload_libraries', value: '', superuserOnly: true },
  { name: 'event_triggers', value: 'off', since: 17, superuserOnly: true }, // Login triggers, and those of DDL.
];

/** Settings for the startup packet's `options`, or for PGOPTIONS. `trusted`: the user is known to be let in with what only superusers set. */
export function startupOptions(needs: SessionNeeds, { trusted = true }: { readonly trusted?: boolean } = {}): string {
  const chosen = wanted(needs).filter(
    ({ since, superuserOnly }) => (since === undefined || (needs.major ?? 0) >= since) && (trusted || !superuserOnly),
  );
  return chosen.map(({ name, value }) => `-c ${name}=${value.replace(/[\\ ]/g, '\\$&')}`).join(' ');
}

/** Settings that could not be in the startup packet, as the major was not known before the server said it; '' when there is nothing. */
export function lateSettings(needs: SessionNeeds, major: number, { trusted = true }: { readonly trusted?: boolean } = {}): string {
  const late = wanted(needs).filter(
    ({ since, superuserOnly }) => since !== undefined && since > (needs.major ?? 0) && since <= major && (trusted || !superuserOnly),
  );
  return late.map(({ name, value }) => `SET ${name} = ${value}`).join('; ');
}

/** dbkit's own small writes wait for no standby. */
const commitsLocally: Setting = { name: 'synchronous_commit', value: 'local' };
const writes: Setting = { name: 'default_transaction_read_only', value: 'off' };

const wanted = ({ as, lockTimeoutMs = 0, statementTimeoutMs = 0, ...needs }: SessionNeeds): readonly Setting[] => {
  if (as === 'pooler') return [];
  const { readOnlyDefault = as === 'superuser' ? 'off' : 'kept', commits = as === 'superuser' ? 'local' : 'kept' } = needs;
  return [
    { name: 'lock_timeout', value: String(Math.ceil(lockTimeoutMs)) },
    { name: 'statement_timeout', value: String(Math.ceil(statementTimeoutMs)) },
    ...always,
    ...(readOnlyDefault === 'off' ? [writes] : []),
    ...(commits === 'local' ? [commitsLocally] : []),
    ...(as === 'superuser' ? asSuperuser : []),
  ];
};

/** SQLSTATEs by which a server refuses a setting of the startup packet: privilege, unknown name, value. The rest is then asked without it. */
export const refusesSettings = (sqlState: string | undefined): boolean => ['42501', '42704', '22023', '55P02'].includes(sqlState ?? '');
