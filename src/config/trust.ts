import type { FailureCode } from '../kernel/errors.ts';
import { decide, fill } from '../kernel/reasons.ts';

/** A file's owner and mode, and those of what leads to it, as far as somebody else could use them; undefined: nobody else could. */
export interface Stranger {
  readonly path: string;
  /** 'uid 1001', 'everybody', 'group 50'. */
  readonly who: string;
}

/** Everything that is known of a configuration file before it is obeyed. */
export interface FileFacts {
  readonly path: string;
  /** 'found': in the working directory or above it. 'named': by --config or DBKIT_CONFIG, or /etc/dbkit. */
  readonly how: 'found' | 'named';
  readonly stranger: Stranger | undefined;
  /** A git work tree holds it: then its words are those of whoever wrote the repository, whoever owns the copy. */
  readonly inRepository: boolean;
  /** The container was made from this very repository, whose commands it has run already. */
  readonly inDevContainer: boolean;
  /** Somebody has looked at exactly these bytes: `dbkit config trust`. */
  readonly trusted: boolean;
  /** Dotted names of the settings that run something, read a secret, or name who gets one. */
  readonly programs: readonly string[];
}

export type TrustId = 'trusted' | 'of-somebody-else' | 'programs-of-a-repository' | 'own';

interface Row {
  readonly id: TrustId;
  when(facts: FileFacts): boolean;
  readonly then: 'obey' | 'refuse';
  readonly words: string;
}

/** Tells if a configuration file is obeyed; first match wins (git's safe.directory, direnv's allow). */
export const trustRows: readonly Row[] = [
  { id: 'trusted', when: ({ trusted }) => trusted, then: 'obey', words: 'you have trusted these very bytes' },
  {
    id: 'of-somebody-else',
    when: ({ stranger }) => stranger !== undefined,
    then: 'refuse',
    words: '{path} is not obeyed: {who} may change {where}',
  },
  {
    id: 'programs-of-a-repository',
    when: ({ how, inRepository, inDevContainer, programs }) => how === 'found' && inRepository && !inDevContainer && programs.length > 0,
    then: 'refuse',
    words: '{path} is part of a repository, which may set data but may not name programs, hosts or secrets: {programs}',
  },
  { id: 'own', when: () => true, then: 'obey', words: 'nobody else may change it' },
];

export const UNTRUSTED: FailureCode = 'config.untrusted';

export function judgeFile(facts: FileFacts): { readonly id: TrustId; readonly verdict: 'obey' | 'refuse'; readonly words: string } {
  const { id, then, words } = decide(trustRows, facts);
  const { path, stranger, programs: named } = facts;
  const where = stranger?.path === path ? 'it' : stranger?.path;
  return { id, verdict: then, words: fill(words, { path, who: stranger?.who, where, programs: named.join(', ') }) };
}

/** Settings that run something, or that name who is told a secret or a password. */
const programs: readonly RegExp[] = [
  /^servicesDir$/,
  /^services\.[^.]+$/,
  /^postgresql\.(binDir|initScriptsDir|initdbArgs|unit|user)$/,
  // GUCs by which the server runs a command or loads code (server configuration chapter).
  /^postgresql\.settings\..*(_command|_librar(y|ies)|library_path|_program|_file|config_file|data_directory)$/i,
  /^recovery\.migrate$/,
  /^monitor\.(startCommand|pingUrl)$/,
  /^health\.probes\.[^.]+\.command$/,
  /^copies\.[^.]+\.(path|bucket|endpoint|accessKeyId|secretAccessKey|sessionToken|recipients|identity)$/,
  /^pgbackrest\.(program|cipherPass)$/,
  /^pgbackrest\.repository\.(path|bucket|endpoint|caFile|accessKeyId|secretAccessKey|sessionToken)$/,
  /^ha\.(members|writeAddress|pooler|apiUsername|apiPassword)$/, // The superuser's password is offered to these hosts.
  /^alerts\.channels\.[^.]+\.(command|url|token|password|routingKey|path)$/,
];

type Tree = Readonly<Record<string, unknown>>;
const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value);

/** The dotted names of such settings in a parsed file, in its order. */
export function programsIn(value: unknown, above = ''): readonly string[] {
  if (!isTree(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => {
    const path = above === '' ? key : `${above}.${key}`;
    return programs.some((pattern) => pattern.test(path)) ? [path] : programsIn(item, path);
  });
}
