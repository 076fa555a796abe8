import { DbkitError } from '../../kernel/errors.ts';
import { isThere } from '../../machine/is-there.ts';
import { readPatroni } from '../answers.ts';
import { type ClusterNeeds, reach } from '../look.ts';
import { dynamicOf, type LintFinding, lintSetups } from './lint.ts';
import { type DynamicSetup, readDynamic } from './patroni-setup.ts';
import { type LintedFile, readSetups, usualFiles } from './read-setups.ts';

export interface LintReport {
  readonly status: 'ok' | 'warning' | 'critical';
  readonly files: readonly LintedFile[];
  /** Where the settings that all members share were read: an address, a file; null: they are not known. */
  readonly sharedFrom: string | null;
  readonly patroniVersion: string | null;
  readonly findings: readonly LintFinding[];
}

export interface LintWish {
  /** None: those in the usual places, and what the members of `ha.members` say now. */
  readonly files: readonly string[];
  /** '4.0.7'; default: the one that a member says. */
  readonly patroniVersion: string | undefined;
}

/** Looks for what is dangerous in a cluster's configuration; changes nothing. Rejects with `usage.invalid` where there is nothing to look at. */
export async function lintFiles(needs: ClusterNeeds, { files, patroniVersion }: LintWish, signal: AbortSignal): Promise<LintReport> {
  const live = Object.keys(needs.config.ha.members).length > 0 && files.length === 0 ? await askMembers(needs, signal) : nobody;
  const paths = files.length > 0 ? files : await present(usualFiles);
  if (paths.length === 0 && live.dynamic === null)
    throw new DbkitError('usage.invalid', 'there is no configuration in the usual places, and no member of ha.members answers', {
      hint: 'name the files: `dbkit ha lint patroni.yml haproxy.cfg`',
    });
  const read = await readSetups(paths);
  const version = patroniVersion ?? live.version;
  const setups = {
    ...read,
    dynamic: live.dynamic ?? read.dynamic,
    version: version === null ? null : version.split('.').map(Number),
    memberCount: Object.keys(needs.config.ha.members).length,
  };
  const findings = lintSetups(setups);
  return {
    status: findings.some(({ severity }) => severity === 'critical') ? 'critical' : findings.length > 0 ? 'warning' : 'ok',
    files: read.files,
    sharedFrom: dynamicOf(setups)?.file ?? null,
    patroniVersion: version,
    findings,
  };
}

interface Live {
  readonly dynamic: DynamicSetup | null;
  readonly version: string | null;
}
const nobody: Live = { dynamic: null, version: null };

/** The first that answers: they all read the same settings. The oldest version counts. */
async function askMembers(needs: ClusterNeeds, signal: AbortSignal): Promise<Live> {
  const { members, ask } = await reach(needs);
  const asked = await Promise.all(
    members.map(async (member) => {
      const [config, own] = await Promise.all(['/config', '/patroni'].map((path) => ask(member, path, signal)));
      const dynamic = config!.status === 200 ? readDynamic(`${member.api}/config`, config!.json) : undefined;
      return { dynamic, version: readPatroni(own!.json)?.version };
    }),
  );
  const versions = asked.flatMap(({ version }) => version ?? []);
  return {
    dynamic: asked.find(({ dynamic }) => dynamic)?.dynamic ?? null,
    version: versions.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))[0] ?? null,
  };
}

async function present(paths: readonly string[]): Promise<readonly string[]> {
  const there = await Promise.all(paths.map(isThere));
  return paths.filter((_path, index) => there[index]);
}
