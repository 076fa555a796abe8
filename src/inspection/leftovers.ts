import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseConf } from '../formats/conf.ts';
import type { ControlFile } from '../formats/control-file.ts';
import type { Finding } from './findings.ts';
import type { Walk } from './walk.ts';

/** pg_control of a server that wrote: what a standby's or a restored cluster's never says. */
const primaryStates = new Set(['shut down', 'in production', 'in crash recovery', 'shutting down']);

const signalFiles = ['recovery.signal', 'standby.signal'];
type Read = (path: string) => string;
const reader =
  (dataDir: string, { entries, configFile }: Walk): Read =>
  (path) => {
    const isElsewhere = path === 'postgresql.conf' && configFile !== undefined;
    if (isElsewhere) return existsSync(configFile) ? readFileSync(configFile, 'utf8') : '';
    return entries.get(path)?.kind === 'file' ? readFileSync(join(dataDir, path), 'utf8') : '';
  };

/** Where WAL may come from besides pg_wal; an included file may name it too, so it is believed to. */
function hasSource(read: Read): boolean {
  const settings = new Map([...parseConf(read('postgresql.conf')).settings, ...parseConf(read('postgresql.auto.conf')).settings]);
  return ['primary_conninfo', 'restore_command', 'include', 'include_dir', 'include_if_exists'].some((name) => settings.get(name));
}

/** A standby, or a recovery from an archive that a person began: what it lacks is elsewhere. A restore of dbkit's own has all it needs. */
export function followsAnother(dataDir: string, seen: Walk, control: ControlFile | undefined): boolean {
  const read = reader(dataDir, seen);
  const isOurs = /^# dbkit restore: begin/m.test(read('postgresql.auto.conf')) || isLabelOfOurs(read('backup_label'));
  if (isOurs || !signalFiles.some((path) => seen.entries.has(path))) return false;
  return hasSource(read) || control === undefined || !primaryStates.has(control.state);
}

const isLabelOfOurs = (text: string): boolean => /^LABEL: data_\d{8}_\d{6}$/m.test(text);

/**
 * Signal files and a backup_label that contradict the control file. A restore of dbkit's is recognised by what it leaves: its own restore
 * settings, or a label that bears one of its names.
 */
export function inspectLeftovers(dataDir: string, seen: Walk, control: ControlFile): Finding[] {
  const findings: Finding[] = [];
  const { entries } = seen;
  const read = reader(dataDir, seen);
  for (const path of signalFiles) {
    if (!entries.has(path) || hasSource(read) || entries.has('backup_label') || !primaryStates.has(control.state)) continue;
    const evidence = `it asks for recovery, but pg_control says '${control.state}' and no source to recover from is configured`;
    findings.push({
      code: 'signal.stray',
      path,
      evidence,
      severity: 'certain',
      postgresSays: 'must specify restore_command when standby mode is not enabled',
    });
  }
  if (entries.has('backup_label') && control.state === 'shut down' && !isLabelOfOurs(read('backup_label'))) {
    findings.push({
      code: 'backup-label.stray',
      path: 'backup_label',
      evidence: 'it says that this is a copy of a running server, but pg_control says that the server was shut down',
      severity: 'certain',
      postgresSays: 'could not find redo location referenced by checkpoint record',
    });
  }
  return findings;
}

/** PG_VERSION of the cluster and of each database, against what pg_control knows. */
export function inspectVersionFiles(
  dataDir: string,
  { entries }: Walk,
  homes: readonly string[],
  control: ControlFile | undefined,
): Finding[] {
  const expected = control?.major;
  return ['', ...homes].flatMap((home): Finding[] => {
    const path = home === '' ? 'PG_VERSION' : `${home}/PG_VERSION`;
    const text = entries.get(path)?.kind === 'file' ? readFileSync(join(dataDir, path), 'utf8').trim() : undefined;
    const evidence =
      text === undefined
        ? 'the file is missing'
        : !/^\d+$/.test(text)
          ? `it holds ${JSON.stringify(text.slice(0, 20))}`
          : expected !== undefined && Number(text) !== expected
            ? `it says ${text}, but pg_control is of PostgreSQL ${expected}`
            : undefined;
    const says = `"${home || dataDir}" is not a valid data directory`;
    return evidence === undefined ? [] : [{ code: 'version-file.broken', path, evidence, severity: 'certain', postgresSays: says }];
  });
}
