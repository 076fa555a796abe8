import { basename, dirname, join, relative, resolve } from 'node:path';
import { DbkitError } from '../../kernel/errors.ts';
import { ignoring, planMerge, runsDbkit, type SettingChange, type Settings } from './plan.ts';
import type { ProjectFolder } from './project-folder-contract.ts';

type Needs = { readonly project: ProjectFolder };

export interface InitInput {
  /** The project's folder. */
  readonly directory: string;
  /** Shows what would be written, and writes nothing. */
  readonly dryRun: boolean;
  /** Settings that a person chose may be changed; without it they are only added to. */
  readonly mayChange: boolean;
  /** The variant with a compose file. */
  readonly compose: boolean;
}

export interface InitFile {
  readonly path: string;
  readonly action: 'create' | 'change' | 'keep';
  readonly because: string;
  /** The text that it holds; null for what is no text, or stays. */
  readonly text: string | null;
}

export interface InitReport {
  /** 'told': nothing was written, and `add` is what a person puts into his own files. */
  readonly outcome: 'written' | 'planned' | 'present' | 'told';
  readonly files: readonly InitFile[];
  readonly changes: readonly SettingChange[];
  readonly because: string | null;
  readonly add: string | null;
}

const HOME = '.devcontainer';

/**
 * Puts dbkit's dev container into a project. Rejects with `file.exists` where a setting that is there would have to change and `mayChange`
 * does not allow it, `config.invalid` when devcontainer.json cannot be read. A failure in the middle leaves files that the next run completes.
 */
export async function initDevcontainer(app: Needs, input: InitInput, signal: AbortSignal): Promise<InitReport> {
  const { project } = app;
  const { directory, dryRun, mayChange } = input;
  const settings = await planSettings(app, input);
  if (settings.told) return { outcome: 'told', files: [], changes: [], ...settings.told };
  const replaced = settings.changes.filter(({ kind }) => kind === 'replace');
  if (replaced.length > 0 && !mayChange && !dryRun)
    throw new DbkitError('file.exists', `${settings.file.path} has settings that would change: ${replaced.map(pathOf).join(', ')}`, {
      hint: 'run with --dry-run to see the changes, then with --yes; nothing was written',
    });
  const body = await project.pack(signal);
  const files = [
    settings.file,
    await planImage(app, directory),
    ...(settings.compose ? [await planCompose(app, directory)] : []),
    await planIgnored(app, directory),
    await planPackage(app, directory, body),
  ];
  const changing = files.filter(({ action }) => action !== 'keep');
  const report = { files, changes: settings.changes, because: null, add: null };
  if (dryRun || changing.length === 0) return { outcome: changing.length === 0 ? 'present' : 'planned', ...report };
  // devcontainer.json last: until then whoever opens the project gets what he had.
  for (const { path, text } of changing.toReversed()) await project.write(path, text ?? body, directory);
  return { outcome: 'written', ...report };
}

export const pathOf = ({ path }: SettingChange): string => path.join('.');

interface SettingsPlan {
  readonly file: InitFile;
  readonly changes: readonly SettingChange[];
  readonly compose: boolean;
  readonly told?: { readonly because: string; readonly add: string };
}

async function planSettings({ project }: Needs, { directory, compose }: InitInput): Promise<SettingsPlan> {
  const places = [join(directory, HOME, 'devcontainer.json'), join(directory, '.devcontainer.json')];
  const texts = await Promise.all(places.map((path) => project.read(path)));
  const at = texts.findIndex((text) => text !== undefined);
  const path = places[Math.max(at, 0)]!;
  const present = texts[at];
  if (present === undefined) {
    const text = await newSettings(project, directory, compose);
    return { file: { path, action: 'create', because: 'there was none', text }, changes: [], compose };
  }
  const mine = await project.parse(present, path);
  const composes = mine['dockerComposeFile'] !== undefined;
  const template = await project.parse(await project.template(templateOf(composes)), 'the template');
  const folder = relative(dirname(path), join(directory, HOME));
  const plan = planMerge(mine, template, { folder, compose, dockerfile: await project.read(dockerfileOf(path, mine)) });
  if (plan.action === 'tell') {
    const { because, add } = plan;
    return { file: { path, action: 'keep', because, text: null }, changes: [], compose, told: { because, add } };
  }
  const { changes } = plan;
  const text = await project.edit(present, changes);
  const file: InitFile =
    changes.length === 0
      ? { path, action: 'keep', because: 'it has all of it already', text: null }
      : { path, action: 'change', because: 'what was there stays, with its comments', text };
  return { file, changes, compose: composes };
}

const templateOf = (compose: boolean): string => (compose ? 'compose/devcontainer.json' : 'devcontainer.json');

/** The template under the project's own name; the compose variant's lies one folder deeper than here. */
async function newSettings(project: Needs['project'], directory: string, compose: boolean): Promise<string> {
  const because = 'this is another project';
  const replace = (key: string, from: string, value: string) => ({ kind: 'replace' as const, path: [key], from, value, because });
  return project.edit(await project.template(templateOf(compose)), [
    replace('name', 'dbkit', basename(resolve(directory))),
    ...(compose ? [replace('dockerComposeFile', '../compose.yaml', 'compose.yaml')] : []),
  ]);
}

/** The Dockerfile that a devcontainer.json at `path` names; with compose, the one that dbkit's compose file would. */
function dockerfileOf(path: string, { build, dockerFile }: Settings): string {
  const named = (build as Settings | undefined)?.['dockerfile'] ?? dockerFile;
  return typeof named === 'string' ? join(dirname(path), named) : join(dirname(path), 'Dockerfile');
}

async function planImage({ project }: Needs, directory: string): Promise<InitFile> {
  const path = join(directory, HOME, 'Dockerfile');
  const present = await project.read(path);
  if (present === undefined) return { path, action: 'create', because: 'there was none', text: await project.template('Dockerfile') };
  if (runsDbkit(present)) return { path, action: 'keep', because: 'it runs dbkit already', text: null };
  throw new DbkitError('file.exists', `${path} exists already, and does not run dbkit`, { hint: 'move it away; nothing was written' });
}

async function planCompose({ project }: Needs, directory: string): Promise<InitFile> {
  const path = join(directory, HOME, 'compose.yaml');
  return (await project.read(path)) === undefined
    ? { path, action: 'create', because: 'there was none', text: await project.template('compose.yaml') }
    : { path, action: 'keep', because: 'it is there already', text: null };
}

/** A database in a repository is large, secret, and loses its empty folders. */
async function planIgnored({ project }: Needs, directory: string): Promise<InitFile> {
  const path = join(directory, '.gitignore');
  const present = await project.read(path);
  const text = ignoring(present);
  if (text === undefined) return { path, action: 'keep', because: 'the data is ignored already', text: null };
  return { path, action: present === undefined ? 'create' : 'change', because: 'the data is not for git', text };
}

async function planPackage({ project }: Needs, directory: string, body: Uint8Array): Promise<InitFile> {
  const path = join(directory, HOME, 'dbkit.tgz');
  const present = await project.holds(path, body);
  if (present === 'same') return { path, action: 'keep', because: 'it is this very dbkit', text: null };
  return { path, action: present === 'nothing' ? 'create' : 'change', because: 'dbkit itself, for the image', text: null };
}
