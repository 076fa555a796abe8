import { expect, test } from 'vitest';
import { drawn, printable } from '../../src/cli/output/printable.ts';
import { failureText } from '../../src/cli/output/report.ts';
import { createStyle } from '../../src/cli/output/style.ts';
import { parseConf, parseHba, parseIdent } from '../../src/formats/conf.ts';
import { DbkitError } from '../../src/kernel/errors.ts';
import { redact, rememberSecret } from '../../src/kernel/redact.ts';
import { Secret } from '../../src/kernel/secret.ts';
import { inProcess } from '../harness/in-process.ts';

const CANARY = 'hunter2-CANARY';

test.each([
  `primary_conninfo = 'host=a password=${CANARY} user=b'`,
  `primary_conninfo = 'password=''${CANARY}'' host=a'`,
  `{"evidence":"line 3: \\"password='${CANARY}' host=x\\""}`,
  `postgresql://app:${CANARY}@db/app`,
  `ALTER ROLE app PASSWORD '${CANARY}'`,
  `https://api.telegram.org/bot12345:${CANARY}/sendMessage`,
  `https://hooks.slack.com/services/T0/B0/${CANARY}`,
  `https://x/?token=${CANARY}&y=1`,
  `authorization: Bearer ${CANARY}`,
  `syntax error in file "/d/postgresql.auto.conf" line 3, near token "${CANARY}"`,
  `invalid value for parameter "primary_conninfo": "${CANARY}"`,
  `invalid value for parameter "archive_cleanup_command": "${CANARY}"`,
])('the place of a secret hides it: %s', (text) => {
  expect(redact(text)).not.toContain(CANARY);
});

test('a setting that cannot be right is still named with its value', () => {
  expect(redact('invalid value for parameter "shared_buffers": "10XB"')).toContain('"10XB"');
  expect(redact('the password of role app is not the configured one')).toContain('the password of role app');
});

test('what was told in secret is hidden wherever it stands, however it is written', () => {
  const value = `it's "a" longer/secret ${Math.PI}`;
  new Secret(value);
  for (const form of [value, JSON.stringify(value), encodeURIComponent(value)]) expect(redact(`x ${form} y`)).not.toContain('longer');
  rememberSecret('short');
  expect(redact('a short sentence')).toBe('a short sentence');
});

test('lines of configuration are named, never shown', () => {
  const files = [
    parseConf(`primary_conninfo = 'password=${CANARY}\n${CANARY} text`).problems,
    parseHba(`${CANARY} all all trust`).problems,
    parseIdent(`${CANARY}`).problems,
  ];
  expect(files[0]).toEqual(['line 1: the value of primary_conninfo cannot be read', 'line 2: it is no setting']);
  expect(JSON.stringify(files)).not.toContain(CANARY);
});

test('no stream of a command shows a secret, not even in a crash', async () => {
  new Secret(CANARY);
  const { out, error } = await inProcess(['status', '--json'], {
    app: {
      get services(): never {
        throw new Error(`cannot connect with ${CANARY}`);
      },
    },
  });
  expect(`${out}${error}`).not.toContain(CANARY);
});

test('names steer no terminal: escapes, C1 controls and marks that turn text around are written out', async () => {
  const [plain, coloured] = [await createStyle(false), await createStyle(true)];
  const name = '\u001b[31mred\u001b]0;title\u0007 \u009b2J \u202etxt.exe';
  for (const text of [
    printable(name),
    drawn(plain, () => name),
    drawn(coloured, ({ dim }) => dim(name)),
    failureText(new DbkitError('command.failed', name)),
  ])
    expect(text).not.toMatch(/[\u0007\u009b\u202e]|\u001b\]/);
  expect(printable('two\nlines\tand a tab, ü')).toBe('two\nlines\tand a tab, ü');
  expect(drawn(coloured, ({ good }) => `${good('ok')} \u001b[32mred\u001b[8mhidden`)).toBe(
    '\u001b[32mok\u001b[39m \\x1b[32mred\\x1b[8mhidden',
  );
  expect(drawn(plain, ({ good }) => good('\u001b[31mred'))).toBe('\\x1b[31mred');
});
