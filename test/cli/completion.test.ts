import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inProcess } from '../harness/in-process.ts';

/** Words before the cursor (the last is what is being typed) and what must be offered for it. */
const cases: readonly (readonly [words: readonly string[], offered: readonly string[]])[] = [
  [['st'], ['status']],
  [
    ['config', ''],
    ['check', 'init', 'schema', 'show', 'trust'],
  ],
  [['config', 'show', '--or'], ['--origin']],
  [['--config', 'status', 'down', '--jso'], ['--json']], // The file is called `status`; the command is `down`.
  [
    ['recover', '--strategy', ''],
    ['reinitialize', 'repair', 'restore'],
  ],
  [
    ['--log-format', ''],
    ['human', 'json'],
  ],
  [
    ['completion', ''],
    ['bash', 'fish', 'zsh'],
  ],
  [['restart', 'postgresql', '--qui'], ['--quiet']],
];

/** Stand-ins for what zsh's own completion system would be told. */
const ZSH_STUBS = `compdef() { : }; _files() { : }; compadd() { shift; print -l -- $@ }
_describe() { local -a all; all=("\${(@P)2}"); print -l -- \${\${(M)all:#$words[CURRENT]*}%%:*} }`;

/** How each shell is asked what it would offer. */
const ask = {
  bash: (script: string, words: readonly string[]) =>
    `source ${script}; COMP_WORDS=(dbkit ${words.map(quote).join(' ')}); COMP_CWORD=${words.length}; _dbkit; printf '%s\\n' "\${COMPREPLY[@]}"`,
  zsh: (script: string, words: readonly string[]) =>
    `${ZSH_STUBS}; source ${script}; words=(dbkit ${words.map(quote).join(' ')}); CURRENT=${words.length + 1}; _dbkit`,
  fish: (script: string, words: readonly string[]) => `source ${script}; complete -C 'dbkit ${words.join(' ')}'`,
} as const;
const quote = (word: string): string => `'${word}'`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dbkit-completion-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each(['bash', 'zsh', 'fish'] as const)('%s', (shell) => {
  const isInstalled = spawnSync(shell, ['-c', 'exit 0']).status === 0;
  test.runIf(isInstalled).each(cases)('%j is completed', async (words, offered) => {
    const script = join(folder, shell);
    await writeFile(script, (await inProcess(['completion', shell])).out);
    const { stdout, stderr } = spawnSync(shell, ['-c', ask[shell](script, words)], {
      encoding: 'utf8',
      env: { ...process.env, HOME: folder },
    });
    const said = stdout.split('\n').map((line) => line.split('\t')[0]!);
    expect({ said: said.filter(Boolean).sort(), stderr }).toEqual({ said: offered, stderr: '' });
  });
});

test('what comes behind -- is the command’s own: nothing is offered', async () => {
  const script = join(folder, 'bash-behind');
  await writeFile(script, (await inProcess(['completion', 'bash'])).out);
  const { stdout } = spawnSync('bash', ['-c', ask.bash(script, ['entrypoint', '--', 'st'])], { encoding: 'utf8' });
  expect(stdout.trim()).toBe('');
});

test('every command is in every script', async () => {
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { out } = await inProcess(['completion', shell]);
    for (const command of ['entrypoint', 'maintenance', 'list-backups', '--origin', '--dry-run'])
      expect(out).toContain(command.replace(/^--/, ''));
  }
});
