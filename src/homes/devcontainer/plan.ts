/** devcontainer.json, parsed (containers.dev, "Dev Container metadata reference"). */
export type Settings = { readonly [key: string]: unknown };

/** One step to another text; paths are those of the text as it was. */
export type SettingChange = { readonly path: readonly string[]; readonly value: unknown; readonly because: string } & (
  | { readonly kind: 'add' }
  | { readonly kind: 'append' }
  /** `from` is what a person had written there; `key` is the setting's new name. */
  | { readonly kind: 'replace'; readonly from: unknown; readonly key?: string }
);

export type DevcontainerPlan =
  | { readonly action: 'merge'; readonly changes: readonly SettingChange[] }
  /** The image is somebody's own work: nothing can be written, `add` is what a person puts into it. */
  | { readonly action: 'tell'; readonly because: string; readonly add: string };

/** The change that is asked of one setting: undefined where nothing is to be done. */
type Rule = (mine: unknown, wanted: unknown, key: string) => readonly SettingChange[];

const DATA_FOLDERS = '.DB_*/';

const unlessSet: Rule = (mine, wanted, key) =>
  mine === undefined ? [{ kind: 'add', path: [key], value: wanted, because: 'it was not set' }] : [];

const mustBe =
  (because: string): Rule =>
  (mine, wanted, key) => {
    if (mine === wanted) return [];
    return mine === undefined
      ? [{ kind: 'add', path: [key], value: wanted, because }]
      : [{ kind: 'replace', path: [key], from: mine, value: wanted, because }];
  };

/** Hooks have three forms: a shell's line, the words of one program, and several of either by name, which run side by side. */
const first: Rule = (mine, wanted, key) => {
  if (mine === undefined) return unlessSet(mine, wanted, key);
  if (JSON.stringify(mine).includes(String(wanted))) return [];
  const because = 'what was there still runs';
  if (isSettings(mine)) return [{ kind: 'add', path: [key, 'dbkit'], value: wanted, because }];
  const joined = Array.isArray(mine)
    ? { dbkit: wanted, project: mine }
    : `${wanted} && ${/[;&|\n]/.test(String(mine)) ? `(${mine})` : mine}`;
  return [{ kind: 'replace', path: [key], from: mine, value: joined, because }];
};

const listed =
  (nameOf: (item: unknown) => unknown): Rule =>
  (mine, wanted, key) => {
    if (!Array.isArray(mine)) return unlessSet(mine, wanted, key);
    const names = new Set(mine.map(nameOf));
    return (wanted as readonly unknown[])
      .filter((item) => !names.has(nameOf(item)))
      .map((item) => ({ kind: 'append', path: [key], value: item, because: 'what was listed stays' }));
  };

const inside: Rule = (mine, wanted, key) =>
  isSettings(mine)
    ? Object.entries(wanted as Settings).flatMap(([name, value]) =>
        mine[name] === undefined ? [{ kind: 'add' as const, path: [key, name], value, because: 'it was not set' }] : [],
      )
    : unlessSet(mine, wanted, key);

/** A mount's target; its text has the form of docker's --mount. */
export function mountTarget(mount: unknown): unknown {
  if (isSettings(mount)) return mount['target'];
  const pairs = String(mount).split(',');
  return pairs.map((pair) => /^(?:target|dst|destination)=(.*)$/.exec(pair.trim())?.[1]).find((target) => target !== undefined);
}

/** Every setting of the template that may be merged, and how. `build` and `remoteUser` are the image's business. */
const rules: Readonly<Record<string, Rule>> = {
  name: unlessSet,
  overrideCommand: mustBe('the default replaces the image’s ENTRYPOINT, and kills the database at every stop'),
  init: unlessSet,
  shutdownAction: unlessSet,
  remoteUser: unlessSet,
  initializeCommand: first,
  mounts: listed(mountTarget),
  forwardPorts: listed(String),
  portsAttributes: inside,
  postStartCommand: first,
  waitFor: unlessSet,
};

/**
 * How `template` goes into a devcontainer.json that is there already; nothing that a person set is dropped. `folder` is where the Dockerfile
 * is, seen from that file; `dockerfile` is the text of the one that it names, if it names one.
 */
export function planMerge(
  mine: Settings,
  template: Settings,
  { folder, dockerfile, compose }: { readonly folder: string; readonly dockerfile: string | undefined; readonly compose: boolean },
): DevcontainerPlan {
  const own = ownImage(mine, dockerfile, compose);
  if (own !== undefined) return { action: 'tell', because: own, add: advice };
  const merged = Object.entries(rules).flatMap(([key, rule]) => (template[key] === undefined ? [] : rule(mine[key], template[key], key)));
  return { action: 'merge', changes: [...imageChanges(mine, template, folder), ...merged.filter(({ path }) => !isUser(path, mine))] };
}

/** The user of an image that is there already is that image's own choice. */
const isUser = ([key]: readonly string[], mine: Settings): boolean =>
  key === 'remoteUser' && (mine['image'] !== undefined || isBuilt(mine));

/** Why the image cannot be dbkit's; undefined when it can, or is already. */
function ownImage(mine: Settings, dockerfile: string | undefined, compose: boolean): string | undefined {
  const composes = mine['dockerComposeFile'] !== undefined;
  if (compose && !composes) return 'the project has a devcontainer.json without compose';
  if (!composes && !isBuilt(mine)) return undefined;
  if (dockerfile !== undefined && runsDbkit(dockerfile)) return undefined;
  return composes
    ? 'the container comes from a compose file of the project’s own'
    : 'the image is built from a Dockerfile of the project’s own';
}

const isBuilt = (mine: Settings): boolean => ['build', 'dockerFile', 'dockerComposeFile'].some((key) => mine[key] !== undefined);

export const runsDbkit = (dockerfile: string): boolean => /^ENTRYPOINT\b.*\bdbkit(-init|\b.*\bentrypoint)\b/m.test(dockerfile);

/** The image that was there becomes the base of the one that is built. */
function imageChanges(mine: Settings, template: Settings, folder: string): readonly SettingChange[] {
  if (isBuilt(mine) || template['build'] === undefined) return [];
  const wanted = template['build'] as { readonly args: Settings };
  const place = folder === '' ? { dockerfile: 'Dockerfile' } : { dockerfile: `${folder}/Dockerfile`, context: folder };
  const image = mine['image'];
  if (image === undefined) {
    const user = typeof mine['remoteUser'] === 'string' ? { REMOTE_USER: owner(mine['remoteUser']) } : {};
    return [{ kind: 'add', path: ['build'], value: { ...place, args: { ...wanted.args, ...user } }, because: 'there was no image' }];
  }
  const args = {
    ...wanted.args,
    BASE_IMAGE: image,
    REMOTE_USER: owner(mine['remoteUser'] ?? mine['containerUser'] ?? userIn(String(image))),
  };
  return [
    {
      kind: 'replace',
      path: ['image'],
      from: image,
      key: 'build',
      value: { ...place, args },
      because: 'it becomes the base of an image with dbkit',
    },
  ];
}

/** Root may not run PostgreSQL. */
const owner = (user: unknown): unknown => (user === 'root' ? 'postgres' : user);

/** The user who works in images that say so themselves, by the label devcontainer.metadata, where no setting does. */
const users: readonly (readonly [image: RegExp, user: string])[] = [
  [/devcontainers\/(javascript|typescript)-node\b/, 'node'],
  [/devcontainers\//, 'vscode'],
  [/(^|\/)node:/, 'node'],
];
const userIn = (image: string): string => users.find(([pattern]) => pattern.test(image))?.[1] ?? 'postgres';

const advice = `In the Dockerfile, behind everything that needs another ENTRYPOINT:

  COPY dbkit.tgz /tmp/
  RUN apt-get update && apt-get install -y postgresql tini && npm install --global /tmp/dbkit.tgz
  ENV DBKIT_ON_FAIL=hold
  ENTRYPOINT ["tini", "--", "dbkit", "entrypoint", "--"]

In devcontainer.json:

  "overrideCommand": false,
  "postStartCommand": "dbkit status --wait"`;

/** .gitignore with the data's folders in it; undefined when they are. */
export function ignoring(text: string | undefined): string | undefined {
  if (text?.split('\n').some((line) => line.trim().replace(/^\//, '') === DATA_FOLDERS)) return undefined;
  return `${text === undefined || text === '' ? '' : text.replace(/\n?$/, '\n')}${DATA_FOLDERS}\n`;
}

export const isSettings = (value: unknown): value is Settings => typeof value === 'object' && value !== null && !Array.isArray(value);
