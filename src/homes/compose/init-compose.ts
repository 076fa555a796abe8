import { basename, dirname, join, resolve } from 'node:path';
import { DbkitError } from '../../kernel/errors.ts';
import type { ProjectFolder } from '../devcontainer/project-folder-contract.ts';
import { type ComposeFile, parseCompose, spliced } from './edit-yaml.ts';
import { dockerfile, MARK, settingsFile } from './image-files.ts';
import { lineDiff, withoutSecret } from './line-diff.ts';
import { type Candidate, candidates, HOME, madeByDbkit, planCompose } from './plan.ts';
import type { Way } from './ways.ts';

type Needs = { readonly project: ProjectFolder };

/** The names that Compose looks for, in its order. */
const NAMES = ['compose.yaml', 'compose.yml', 'docker-compose.yaml', 'docker-compose.yml'];

export interface ComposeServer extends Candidate {
  /** The compose file that has it. */
  readonly path: string;
}

/** Services with PostgreSQL in the compose files of a project. */
export interface ComposeServers {
  readonly servers: readonly ComposeServer[];
  /** Those that dbkit runs, or stands beside, already. */
  readonly present: readonly string[];
  readonly paths: readonly string[];
}

/** Looks into the files named; where none is named, into those that Compose would take. Missing files are left out. */
export async function findComposeServers({ project }: Needs, directory: string, named: readonly string[]): Promise<ComposeServers> {
  const files: ComposeFile[] = [];
  for (const path of named.length > 0 ? named.map((name) => resolve(directory, name)) : NAMES.map((name) => join(directory, name))) {
    const text = await project.read(path);
    if (text === undefined) continue;
    files.push(await parseCompose(path, text));
    if (named.length === 0) break; // Compose takes the first.
  }
  return {
    servers: files.flatMap((file) => candidates(file).map((candidate) => ({ ...candidate, path: file.path }))),
    present: files.flatMap(madeByDbkit),
    paths: files.map(({ path }) => path),
  };
}

/** The compose files that a devcontainer.json of the project names; none where it is not made of compose files. */
export async function composeFilesOf({ project }: Needs, directory: string): Promise<string[]> {
  for (const path of [join(directory, '.devcontainer/devcontainer.json'), join(directory, '.devcontainer.json')]) {
    const text = await project.read(path);
    if (text === undefined) continue;
    const named = (await project.parse(text, path))['dockerComposeFile'];
    return (Array.isArray(named) ? named : named === undefined ? [] : [named]).map((name) => resolve(dirname(path), String(name)));
  }
  return [];
}

export interface InitComposeInput {
  readonly directory: string;
  readonly server: ComposeServer;
  readonly way: Way;
  readonly dryRun: boolean;
  /** The diff was seen and allowed. */
  readonly mayChange: boolean;
}

export interface InitComposeReport {
  /** 'told': nothing can be written, and `because` says why. */
  readonly outcome: 'written' | 'planned' | 'told';
  readonly way: Way;
  readonly service: string;
  readonly image: string;
  readonly because: string;
  readonly files: readonly { readonly path: string; readonly action: 'create' | 'change' | 'keep' }[];
  /** Of the compose file. */
  readonly diff: readonly string[];
  readonly warnings: readonly string[];
  readonly next: readonly string[];
  readonly goBack: string;
}

/**
 * Brings dbkit into a compose file that runs PostgreSQL from an image: as the ENTRYPOINT of that service, or in a service beside it. The file
 * changes where it must and nowhere else. Rejects with `file.exists` where `mayChange` does not allow it, or files of dbkit's folder are somebody else's.
 */
export async function initCompose({ project }: Needs, input: InitComposeInput, signal: AbortSignal): Promise<InitComposeReport> {
  const { directory, way, dryRun, mayChange } = input;
  const { path, service, image } = input.server;
  const file = await parseCompose(path, (await project.read(path)) ?? '');
  const plan = planCompose(file, input.server, way);
  const compose = `docker compose -f ${basename(path)}`;
  const base = { way, service, image, because: plan.because, goBack: goBack(input) };
  if (plan.action === 'tell')
    return {
      ...base,
      outcome: 'told',
      files: [],
      diff: [],
      warnings: [],
      next: [`choose the other way: --as ${way === 'entrypoint' ? 'beside' : 'entrypoint'}`],
    };
  const home = join(dirname(path), HOME);
  const foreign = await project.read(join(home, 'Dockerfile'));
  if (foreign !== undefined && !foreign.includes(MARK))
    throw new DbkitError('file.exists', `${join(home, 'Dockerfile')} is there already, and is not dbkit's`, {
      hint: 'move it away; nothing was written',
    });
  const settings = join(home, 'dbkit.yaml');
  const held = way === 'entrypoint' ? await project.holds(settings, Buffer.from(settingsFile(plan.settings))) : 'nothing';
  if (held === 'other')
    throw new DbkitError('file.exists', `${settings} is there already, and says something else than it would`, {
      hint: 'move it away, and bring what it says into the new one; nothing was written',
    });
  const after = spliced(file.text, plan.splices);
  await parseCompose(path, after); // An edit that breaks the file is a bug of dbkit's, and is not written.
  const report = {
    ...base,
    files: [
      ...['Dockerfile', ...(way === 'entrypoint' ? ['dbkit.yaml'] : []), 'dbkit.tgz'].map((name) => ({
        path: join(home, name),
        action: 'create' as const,
      })),
      { path, action: 'change' as const },
    ],
    diff: lineDiff(file.text, after).map(withoutSecret),
    warnings: plan.warnings,
    next: way === 'entrypoint' ? [`${compose} up -d --build ${service}`] : [`${compose} run --rm ${HOME} health`],
  };
  if (dryRun) return { ...report, outcome: 'planned' };
  if (!mayChange)
    throw new DbkitError('file.exists', `${path} would change`, {
      hint: 'see the change with --dry-run, then run it with --yes; nothing was written',
    });
  await project.write(join(home, 'dbkit.tgz'), await project.pack(signal), directory);
  if (way === 'entrypoint') await project.write(join(home, 'dbkit.yaml'), settingsFile(plan.settings), directory);
  await project.write(join(home, 'Dockerfile'), dockerfile(input.server, way), directory);
  await project.write(path, after, directory); // Last: until then the project is what it was.
  return { ...report, outcome: 'written' };
}

function goBack({ server: { path, service, image }, way }: InitComposeInput): string {
  const file = basename(path);
  return way === 'beside'
    ? `remove the service ${HOME} from ${file} (\`git checkout ${file}\`), and the folder ${HOME}`
    : `put \`image: ${image}\` back in ${file} (\`git checkout ${file}\`), then \`docker compose up -d ${service}\`: the data stays in its volume, as the image knows it`;
}
