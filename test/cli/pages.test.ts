import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { environment } from '../../src/config/environment.ts';
import { configJsonSchema } from '../../src/config/json-schema.ts';
import { layerConfig } from '../../src/config/layers.ts';
import { probeNames } from '../../src/config/probe-names.ts';
import { inProcess } from '../harness/in-process.ts';

/** Pages that people write; the others are written by the program itself. */
const pages = [
  'README.md',
  ...readdirSync('docs/guide').map((name) => join('docs/guide', name)),
  ...['ARCHITECTURE', 'BACKUPS', 'GLOSSARY', 'HEALTH', 'PLUGINS', 'REPOSITORY-FORMAT', 'SECURITY', 'coming-from'].map(
    (name) => `docs/${name}.md`,
  ),
];
const fences = /```[a-z]*\n([\s\S]*?)```/g;

/** Commands in running text, and lines of the blocks that a person types. */
function commandsOf(page: string): string[] {
  const inBlocks = [...page.matchAll(fences)].flatMap(([, block]) =>
    block!.split('\n').flatMap((line) => /^(?:[$#] )?((?:sudo -u \w+ |npx )?dbkit [a-z-].*)$/.exec(line)?.[1] ?? []),
  );
  const spans = [...page.replace(fences, '').matchAll(/`((?:sudo -u \w+ |npx )?dbkit [a-z-][^`]*)`/g)].map(([, text]) => text!);
  return [...inBlocks, ...spans].map((text) =>
    text
      .replace(/^sudo -u \w+ /, '')
      .replace(/^npx /, '')
      .replace(/\s+(#|\||>|<).*$/, '')
      .trim(),
  );
}

/** As far as a shell would split it; what is in quotes is one word. */
const wordsOf = (command: string): string[] => [...command.matchAll(/(?:[^\s'"]+|'[^']*'|"[^"]*")+/g)].map(([word]) => word).slice(1);

test.each(pages)('%s: every command of dbkit’s exists, with its flags', async (path) => {
  const wrong: string[] = [];
  const everywhere = (await inProcess(['manual', '--page', 'commands'])).out.split('\n## ').at(-1)!; // The flags that every command takes.
  for (const command of new Set(commandsOf(readFileSync(path, 'utf8')))) {
    const words = wordsOf(command);
    const end = words.indexOf('--');
    const own = end < 0 ? words : words.slice(0, end);
    if (/^--(cluster|config)$/.test(own[0]!)) own.splice(0, 2);
    const flag = own.findIndex((word) => word.startsWith('-'));
    const { status, out } = await inProcess([...own.slice(0, flag < 0 ? own.length : flag), '--help']);
    if (status !== 0 || !out.startsWith('Usage: dbkit ')) wrong.push(`${command}: status ${status}`);
    for (const name of own.flatMap((word) => /^--[a-z-]+/.exec(word)?.[0] ?? []))
      if (!new RegExp(`${name}(?![a-z-])`).test(out + everywhere)) wrong.push(`${command}: no ${name}`);
  }
  expect(wrong).toEqual([]);
});

test.each(pages)('%s: every file that it names is there', (path) => {
  const page = readFileSync(path, 'utf8');
  const links = [...page.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, to]) => join(dirname(path), to!));
  const files = [...page.matchAll(/`((?:src|test|bin|deploy|docs|bench)\/[\w./-]+)`/g)].map(([, name]) => name!);
  expect([...links, ...files].filter((name) => !existsSync(name))).toEqual([]);
});

const isKnown = (path: string): boolean => {
  type Node = { properties?: Record<string, Node>; additionalProperties?: Node | boolean; anyOf?: Node[]; $ref?: string };
  let nodes: Node[] = [configJsonSchema() as Node];
  for (const name of path.split('.')) {
    nodes = nodes
      .flatMap((node) => [node, ...(node.anyOf ?? [])])
      .flatMap((node) => {
        const next = node.properties?.[name] ?? node.additionalProperties;
        return typeof next === 'object' ? [next] : [];
      });
  }
  return nodes.length > 0;
};
const sections = Object.keys((configJsonSchema() as { properties: object }).properties);

test.each(pages)('%s: every setting and every variable of dbkit’s exists', (path) => {
  const page = readFileSync(path, 'utf8').replace(fences, '');
  const settings = [...page.matchAll(/`([a-z][A-Za-z]+(?:\.[a-z][A-Za-z]+)+)(?::[^`]*)?`/g)].map(([, name]) => name!);
  const own = settings.filter((name) => sections.includes(name.split('.')[0]!) && !/\.(sh|ts|js|json|yaml|service|timer)$/.test(name));
  expect(own.filter((name) => !isKnown(name))).toEqual([]);
  const variables = [...page.matchAll(/\bDBKIT_[A-Z_]+\b/g)].map(([name]) => name.replace(/_FILE$/, ''));
  expect(variables.filter((name) => !(name in environment) && name !== 'DBKIT_TRACE')).toEqual([]); // That one is no setting (machine/trace.ts).
});

/** Whole blocks of dbkit.yaml; a page shows a key or an address cut short with `…`. */
const blocks = pages.flatMap((path) =>
  [...readFileSync(path, 'utf8').matchAll(/```yaml\n([\s\S]*?)```/g)]
    .map(([, text]) => text!)
    .filter((text) => !/(^|[\s,])…/m.test(text) && !text.startsWith('# patroni.yml'))
    .flatMap((text) => parseAllDocuments(text.replaceAll('…', 'x')).map((document) => ({ path, text, value: document.toJS() as unknown })))
    .filter(({ value }) => typeof value === 'object' && value !== null && Object.keys(value).every((key) => sections.includes(key))),
);

test.each(blocks)('$path: a block of dbkit.yaml is one that dbkit accepts: $text', ({ value }) => {
  expect(() => layerConfig({ file: { path: 'dbkit.yaml', value }, environment: [], flags: [] })).not.toThrow();
});

test('the guide to health names every probe that nobody has to switch on', () => {
  const [, asked = ''] = /asks at once: ([\s\S]*?), and what you add/.exec(readFileSync('docs/guide/health-and-monitor.md', 'utf8')) ?? [];
  expect([...asked.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name)).toEqual(probeNames.filter((name) => name !== 'migrations'));
});
