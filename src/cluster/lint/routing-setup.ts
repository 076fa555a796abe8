/** A `server` line of HAProxy with what its `default-server` gives it. */
export interface RoutedServer {
  readonly name: string;
  readonly address: string;
  readonly isChecked: boolean;
  readonly endsSessions: boolean;
  /** The time in which it is found dead: inter × fall, with the intervals of the doubtful state. */
  readonly noticedMs: number;
}

/** One `listen` or `backend` section of haproxy.cfg that leads to PostgreSQL, with what `defaults` gives it. */
export interface RouteSetup {
  readonly file: string;
  readonly section: string;
  /** The path that the health check asks Patroni for: '/primary'. null: it asks nothing over HTTP. */
  readonly asks: string | null;
  readonly hasCheckTimeout: boolean;
  readonly servers: readonly RoutedServer[];
}

/** pgbouncer.ini. */
export interface PoolerSetup {
  readonly file: string;
  readonly settings: Readonly<Record<string, string>>;
}

/** A unit of systemd. */
export interface UnitSetup {
  readonly file: string;
  readonly execStart: string;
  readonly restart: string;
  /** null: systemd's default, 90 s. */
  readonly stopSeconds: number | null;
  /** Addresses that are not named reach nothing of it. */
  readonly closesNetwork: boolean;
}

const ROLES = /\/(primary|master|leader|read-write|standby-leader)\b/;

/** The `listen` and `backend` sections with servers (HAProxy's configuration manual, chapters 4 and 5). */
export function readRoutes(file: string, text: string): readonly RouteSetup[] {
  const sections: { name: string; lines: string[][] }[] = [];
  let defaults: string[][] = [];
  for (const words of text.split('\n').map((line) =>
    line
      .replace(/(^|\s)#.*$/, '')
      .trim()
      .split(/\s+/),
  )) {
    const [first = '', name = ''] = words;
    if (/^(global|defaults|listen|backend|frontend|resolvers|peers|userlist|cache|program|mailers)$/.test(first)) {
      sections.push({ name: first === 'listen' || first === 'backend' ? name : first, lines: [] });
      if (first === 'defaults') defaults = sections.at(-1)!.lines;
      else if (first === 'listen' || first === 'backend') sections.at(-1)!.lines.push(...defaults);
    } else if (first !== '') sections.at(-1)?.lines.push(words);
  }
  return sections.map(({ name, lines }) => routeOf(file, name, lines)).filter(({ servers }) => servers.length > 0);
}

function routeOf(file: string, section: string, lines: readonly string[][]): RouteSetup {
  const given = lines.filter(([first]) => first === 'default-server').flatMap((words) => words.slice(1));
  const checks = lines
    .filter(([first, second]) => (first === 'option' && second === 'httpchk') || (first === 'http-check' && second === 'send'))
    .map((words) => words.join(' '));
  return {
    file,
    section,
    asks: checks.map((line) => /(\/[A-Za-z-]*)/.exec(line.replace(/HTTP\/\S+/, ''))?.[1]).find(Boolean) ?? (checks.length > 0 ? '/' : null),
    hasCheckTimeout: lines.some(([first, second]) => first === 'timeout' && second === 'check'),
    servers: lines.filter(([first]) => first === 'server').map((words) => serverOf(words, [...given, ...words.slice(3)])),
  };
}

function serverOf([, name = '', address = '']: readonly string[], options: readonly string[]): RoutedServer {
  const after = (option: string): string | undefined => {
    const at = options.lastIndexOf(option);
    return at < 0 ? undefined : options[at + 1];
  };
  const interMs = milliseconds(after('inter')) ?? 2_000;
  const fall = Number(after('fall') ?? 3);
  return {
    name,
    address,
    isChecked: options.includes('check'),
    endsSessions: after('on-marked-down') === 'shutdown-sessions',
    noticedMs: interMs + (fall - 1) * (milliseconds(after('fastinter')) ?? interMs),
  };
}

/** '250ms', '1s', '2000' (milliseconds). */
function milliseconds(text: string | undefined): number | undefined {
  const [, count, unit = 'ms'] = /^(\d+)(us|ms|s|m|h|d)?$/.exec(text ?? '') ?? [];
  if (count === undefined) return undefined;
  return Number(count) * ({ us: 0.001, ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit] ?? 1);
}

/** True where this section leads to whoever leads. */
export const leadsToLeader = ({ asks, section }: RouteSetup): boolean =>
  asks === null ? !/read|replica|standby|stats/i.test(section) : ROLES.test(asks);

/** The section [pgbouncer] (pgbouncer.ini(5)): `;` and `#` begin a comment only at the start of a line. */
export function readPooler(file: string, text: string): PoolerSetup {
  const settings: Record<string, string> = {};
  let section = '';
  for (const line of text.split('\n')) {
    const [, header] = /^\s*\[(\w+)\]/.exec(line) ?? [];
    const [, name, value] = /^\s*([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    if (header) section = header;
    else if (section === 'pgbouncer' && name) settings[name] = value ?? '';
  }
  return { file, settings };
}

/** systemd.service(5), as far as it matters here; lines that end with a backslash go on. */
export function readUnit(file: string, text: string): UnitSetup {
  const lines = text.replace(/\\\n/g, ' ').split('\n');
  const last = (name: string): string =>
    lines
      .filter((line) => line.startsWith(`${name}=`))
      .at(-1)
      ?.slice(name.length + 1)
      .trim() ?? '';
  const stop = last('TimeoutStopSec') || last('TimeoutSec');
  const [, count, unit = 's'] = /^(\d+)\s*(s|sec|min|m)?$/.exec(stop) ?? [];
  return {
    file,
    execStart: last('ExecStart'),
    restart: last('Restart'),
    stopSeconds: count === undefined ? null : Number(count) * (unit.startsWith('m') ? 60 : 1),
    closesNetwork: last('IPAddressDeny') === 'any',
  };
}
