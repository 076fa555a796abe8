import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../config/config.ts';
import { DbkitError, unlessMissing } from '../../kernel/errors.ts';
import type { Files } from '../../kernel/machine.ts';
import { type LintFinding, lintSetups } from '../lint/lint.ts';
import { setupsOf } from '../lint/read-setups.ts';
import { memberNamed } from '../members.ts';
import { dbkitDocument, memberDocument, poolerText, routerText, storeDocument } from './documents.ts';
import { type ClusterPlan, type PlannedBackups, planOf } from './plan.ts';
import { passwordsText, patroniUnit, places, storeAt, storeUnit } from './units.ts';

/** A file for one machine. */
export interface RenderedFile {
  /** Below the folder of a render: 'n1/patroni.yml'. */
  readonly name: string;
  /** Where it goes on the machine. */
  readonly place: string;
  /** '0600', '0644'. */
  readonly mode: string;
  readonly text: string;
}

export interface RenderedCluster {
  readonly files: readonly RenderedFile[];
  /** null: nothing was written. */
  readonly folder: string | null;
  readonly patroniVersion: string;
  /** The linter’s findings about them. */
  readonly findings: readonly LintFinding[];
}

export interface RenderWish {
  /** Only this member's files. */
  readonly member: string | undefined;
  /** The folder to write to; none: only print. */
  readonly to: string | undefined;
  readonly patroniVersion: string;
  /** Patroni runs under dbkit, which guards it; false: alone. */
  readonly guard: boolean;
}

interface Needs {
  readonly config: Pick<Config, 'ha' | 'postgresql' | 'backupDir'>;
  /** Knows that somebody has named the backup folder. */
  readonly origins: { has(setting: string): boolean };
  readonly files: Pick<Files, 'write' | 'makeDirectory'>;
}

/** By this line a file is known to be dbkit's, and may be written again. */
const MARK = '# Made by `dbkit ha render`';

/**
 * The files of every machine of the cluster that `ha:` describes. Rejects with `config.invalid` where that cannot be rendered, and with `file.exists`,
 * before anything is written, for a file in the folder that is not dbkit's.
 */
export async function renderCluster(
  { config, files, origins }: Needs,
  { member, to, patroniVersion, guard }: RenderWish,
): Promise<RenderedCluster> {
  const hasBackups = guard && origins.has('backupDir'); // Without dbkit on the machine nobody could make a replica of one.
  const plan = planOf(config, patroniVersion, hasBackups ? backupsIn(config.backupDir) : null);
  if (member !== undefined) memberNamed(plan.members, member);
  const all = await filesOf(plan, { user: config.postgresql.user ?? 'postgres', isGuarded: guard });
  const wanted = member === undefined ? all : all.filter(({ name }) => name.startsWith(`${member}/`));
  if (to !== undefined) await writeAll(files, to, wanted);
  return { files: wanted, folder: to ?? null, patroniVersion, findings: await lintRendered(all, patroniVersion, plan.members.length) };
}

/** By PATH, which the unit sets. */
const backupsIn = (dir: string): PlannedBackups => ({ dir, dbkit: () => `dbkit --config ${places.dbkit}`, wal: 'dbkit-wal' });

async function filesOf(plan: ClusterPlan, how: { readonly user: string; readonly isGuarded: boolean }): Promise<readonly RenderedFile[]> {
  const { default: yaml } = await import('yaml');
  const asYaml = (document: object): string => `${MARK}\n${yaml.stringify(document, { version: '1.1', lineWidth: 0 })}`; // PyYAML reads 1.1: `on` must be quoted.
  const file = (name: string, place: string, text: string, mode = '0644'): RenderedFile => ({
    name,
    place,
    mode,
    text: text.startsWith(MARK) ? text : `${MARK}\n${text}`,
  });
  const ofMembers = plan.members.flatMap((member) => {
    const store = storeAt(plan, member.api.host);
    return [
      file(`${member.name}/patroni.yml`, places.patroni, asYaml(memberDocument(plan, member)), '0640'),
      file(`${member.name}/patroni.service`, places.patroniUnit, patroniUnit(plan, how)),
      ...(how.isGuarded ? [file(`${member.name}/dbkit.yaml`, places.dbkit, asYaml(dbkitDocument(plan, member, places.patroni)))] : []),
      file(`${member.name}/passwords.env`, places.passwords, passwordsText, '0600'),
      ...(store ? storeFiles(member.name, asYaml(storeDocument(plan, store))) : []),
    ];
  });
  const elsewhere = plan.stores.filter(({ client }) => plan.members.every(({ api }) => api.host !== client.host));
  function storeFiles(name: string, document: string): readonly RenderedFile[] {
    return [file(`${name}/etcd.yml`, places.store, document), file(`${name}/etcd.service`, places.storeUnit, storeUnit(plan))];
  }
  return [
    ...ofMembers,
    ...elsewhere.flatMap((store) => storeFiles(store.name, asYaml(storeDocument(plan, store)))),
    file('router/haproxy.cfg', places.router, routerText(plan)),
    file('router/pgbouncer.ini', places.pooler, poolerText(plan)),
  ];
}

async function lintRendered(files: readonly RenderedFile[], version: string, memberCount: number): Promise<readonly LintFinding[]> {
  const texts = files
    .filter(({ name }) => !/\.env$|\/dbkit\.yaml$/.test(name))
    .map(({ name, text, mode }) => ({ path: name, text, isReadableByAll: mode === '0644' }));
  return lintSetups({ ...(await setupsOf(texts)), version: version.split('.').map(Number), memberCount });
}

async function writeAll(files: Needs['files'], folder: string, rendered: readonly RenderedFile[]): Promise<void> {
  for (const { name, text } of rendered) {
    const path = join(folder, name);
    const entry = await lstat(path).catch(unlessMissing);
    const before = entry?.isFile() ? await readFile(path, 'utf8') : undefined;
    if (entry !== undefined && before !== text && !(before?.startsWith(MARK) && !name.endsWith('.env')))
      throw new DbkitError('file.exists', `${path} is there, and is not what dbkit would write`, {
        hint: 'move it away, or name another folder with --to; nothing was written',
      });
  }
  for (const { name, text, mode } of rendered) {
    await files.makeDirectory(join(folder, name, '..'), { mode: 0o755 });
    await files.write(join(folder, name), text, { mode: Number.parseInt(mode, 8) });
  }
}
