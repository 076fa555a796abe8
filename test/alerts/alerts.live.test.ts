import { chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { SMTPServer } from 'smtp-server';
import { expect, onTestFinished, test } from 'vitest';
import type { StampedAlert } from '../../src/alerts/alert.ts';
import { discordPost } from '../../src/alerts/channels/discord.ts';
import { ntfyPost } from '../../src/alerts/channels/ntfy.ts';
import { pagerdutyPosts } from '../../src/alerts/channels/pagerduty.ts';
import { slackPost } from '../../src/alerts/channels/slack.ts';
import { type Asking, setupAlert } from '../../src/alerts/setup.ts';
import { open as compose } from '../../src/compose.ts';
import { isRoot, serverUser } from '../harness/as-user.ts';
import { run } from '../harness/dbkit.ts';
import { configure, type Instance, openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';

interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A server that keeps what it was sent and answers as the real one would. */
async function receiver(answer = '{"ok":true}', status = 200): Promise<{ url: string; requests: Request[] }> {
  const requests: Request[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      requests.push({ method: request.method!, path: request.url!, headers: request.headers, body });
      response.statusCode = request.url!.includes('enqueue') ? 202 : status;
      response.end(answer);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}
const open = (): Promise<Instance> => openInstance({ programs: installed[0]!, from: 'empty' });
async function secretFile({ root }: Instance, name: string, text: string): Promise<{ file: string }> {
  await writeFile(join(root, name), `${text}\n`, { mode: 0o600 });
  return { file: join(root, name) };
}
const long = 'x'.repeat(10_000);
const alert: StampedAlert = {
  topic: 'health',
  severity: 'CRITICAL',
  resolves: false,
  title: 'the <server> & @everyone ```is``` *down*',
  lines: ['size 0, expected 8192.', long],
  command: 'dbkit recover --dry-run',
  at: '2026-11-20T19:54:00.000Z',
  host: 'db1',
  system: 'PostgreSQL, port 5432, /data',
  environment: 'production',
};

test('each web channel is sent what its documentation asks for, and says so', async () => {
  const instance = await open();
  const { url, requests } = await receiver();
  await configure(instance, {
    alerts: {
      environment: 'staging',
      channels: {
        hook: { type: 'webhook', url: await secretFile(instance, 'hook', `${url}/hook`) },
        slack: { type: 'slack', url: await secretFile(instance, 'slack', `${url}/services/T/B/x`) },
        discord: { type: 'discord', url: await secretFile(instance, 'discord', `${url}/api/webhooks/1/x`) },
        telegram: { type: 'telegram', token: { env: 'TELEGRAM_TOKEN' }, chatId: '42', api: url },
        ntfy: { type: 'ntfy', url: await secretFile(instance, 'ntfy', `${url}/topic`), token: await secretFile(instance, 'tk', 'tk_1') },
        pagerduty: { type: 'pagerduty', routingKey: await secretFile(instance, 'pd', 'R0'), api: url },
      },
    },
  });
  const sent = await run(instance, ['alert', 'test'], { env: { TELEGRAM_TOKEN: '12:abc' } });
  expect(sent, sent.stdout + sent.stderr).toMatchObject({ code: 0 });
  const to = (path: string): Request => requests.find((request) => request.path.startsWith(path))!;
  const json = (path: string): Record<string, unknown> => JSON.parse(to(path).body) as Record<string, unknown>;
  expect(requests).toHaveLength(7); // PagerDuty's incident of a test is closed again.
  expect(json('/hook')).toMatchObject({ schema: 'dbkit.alert/v1', topic: 'test', severity: 'INFO', environment: 'staging' });
  expect(json('/services')).toMatchObject({
    text: expect.stringContaining('this is a test'),
    blocks: [{ type: 'header' }, { type: 'section' }],
  });
  expect(json('/api/webhooks')).toMatchObject({
    allowed_mentions: { parse: [] },
    embeds: [{ title: expect.stringContaining('this is a test') }],
  });
  expect(to('/bot').path).toBe('/bot12:abc/sendMessage');
  expect(json('/bot')).toMatchObject({ chat_id: '42', text: expect.stringContaining('this is a test') });
  expect(to('/topic').headers).toMatchObject({ authorization: 'Bearer tk_1', priority: '2' });
  expect(json('/v2/enqueue')).toMatchObject({ routing_key: 'R0', event_action: 'trigger', payload: { severity: 'info' } });
  for (const request of requests) expect(request.method).toBe('POST');
  expect(sent.stdout + sent.stderr).not.toMatch(/12:abc|tk_1|R0|services\/T/);
});

test('what a channel cannot take is cut or escaped', () => {
  const slack = JSON.stringify(slackPost('u', alert).body);
  expect(slack).toContain('&lt;server&gt; &amp;');
  const [, section] = (slackPost('u', alert).body as { blocks: { text: { text: string } }[] }).blocks;
  expect(section!.text.text.length).toBeLessThanOrEqual(3_000);
  const { embeds } = discordPost('u', alert).body as { embeds: { title: string; description: string }[] };
  expect(embeds[0]!.description.length).toBeLessThanOrEqual(4_096);
  expect(embeds[0]!.description.slice(3, -3)).not.toContain('```');
  expect(embeds[0]!.title.length).toBeLessThanOrEqual(256);
  const ntfy = ntfyPost('u', undefined, { ...alert, title: 'Größe\nX-Injected: 1' });
  expect(ntfy.headers?.['title']).toMatch(/^=\?UTF-8\?B\?[A-Za-z0-9+/=]+\?=$/);
  expect(Buffer.byteLength(ntfy.body as string)).toBeLessThanOrEqual(4_096);
  const trigger = pagerdutyPosts('a', 'k', alert)[0]!.body as { dedup_key: string };
  const resolve = pagerdutyPosts('a', 'k', { ...alert, resolves: true })[0]!.body as { dedup_key: string; event_action: string };
  expect(resolve).toMatchObject({ event_action: 'resolve', dedup_key: trigger.dedup_key });
});

test('mail goes out over SMTP with the configured account', async () => {
  const instance = await open();
  const mails: { user: string | undefined; from: string; to: string[]; text: string }[] = [];
  const server = new SMTPServer({
    authOptional: true,
    onAuth: ({ username, password }, _session, done) => (password === 'letmein' ? done(null, { user: username }) : done(new Error('no'))),
    onData: (stream, session, done) => {
      let text = '';
      stream.on('data', (chunk) => (text += String(chunk)));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({ user: session.user, from: mailFrom ? mailFrom.address : '', to: rcptTo.map(({ address }) => address), text });
        done();
      });
    },
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const port = (server.server.address() as AddressInfo).port;
  const password = await secretFile(instance, 'smtp', 'letmein');
  const channel = {
    type: 'email' as const,
    host: '127.0.0.1',
    port,
    user: 'dbkit',
    password,
    sender: 'dbkit@example.org',
    to: ['a@example.org'],
  };
  await configure(instance, { alerts: { channels: { mail: channel } } });
  const sent = await run(instance, ['alert', 'test']);
  expect(sent, sent.stdout + sent.stderr).toMatchObject({ code: 0 });
  expect(mails).toMatchObject([
    { user: 'dbkit', from: 'dbkit@example.org', to: ['a@example.org'], text: expect.stringMatching(/Subject: INFO .*this is a test/) },
  ]);

  await writeFile(password.file, 'wrong');
  const refused = await run(instance, ['alert', 'test', '--channel', 'mail']);
  expect(refused.code).toBe(69);
  expect(refused.stderr).toMatch(/did not reach mail/);
  expect(refused.stderr).not.toMatch(/wrong/);
});

test('a command gets the alert on its stdin, a file keeps them for its owner only; what is not configured is refused', async () => {
  const instance = await open();
  const [diary, copy] = [join(instance.root, 'alerts.jsonl'), join(instance.root, 'copy.json')];
  await configure(instance, {
    alerts: { channels: { diary: { type: 'file', path: diary }, own: { type: 'command', command: ['tee', copy] } } },
  });
  expect((await run(instance, ['alert', 'test'])).code).toBe(0);
  expect((await stat(diary)).mode & 0o777).toBe(0o600);
  expect(JSON.parse(await readFile(copy, 'utf8'))).toMatchObject({ topic: 'test' });
  expect((await run(instance, ['alert', 'test', '--channel', 'nobody'])).code).toBe(2);
  await configure(instance, {});
  expect((await run(instance, ['alert', 'test'])).code).toBe(2);
  await configure(instance, { alerts: { channels: { hook: { type: 'webhook', url: 'http://secret' as never } } } });
  const invalid = await run(instance, ['config', 'check']);
  expect(invalid, 'secrets are never in the file').toMatchObject({
    code: 78,
    stderr: expect.stringMatching(/must name where the secret is/),
  });
  expect(invalid.stderr).not.toMatch(/http:\/\/secret/);
});

/** A person who answers in order; words that dbkit says are kept. */
function person(answers: readonly (string | boolean)[]): Asking & { readonly heard: string[] } {
  const rest = [...answers];
  const heard: string[] = [];
  const answer = async (words: string): Promise<never> => {
    heard.push(words);
    if (rest.length === 0) throw new Error(`nobody answers: ${words}`);
    return rest.shift() as never;
  };
  return { heard, text: answer, secret: answer, yes: answer, choose: answer, say: (words) => void heard.push(words) };
}
async function setUp(instance: Instance, file: string, answers: readonly (string | boolean)[]) {
  const asking = person(answers);
  const flags = { config: file, stateDir: instance.stateDir };
  const app = await compose.parts({
    asCaller: true,
    command: 'alert test',
    flags,
    environment: instance.env,
    workingDirectory: instance.root,
    isTerminal: false,
    signals: { subscribe: () => () => undefined },
    logLevel: 'warn',
    log: () => undefined,
  });
  return { asking, report: await setupAlert(app, asking, new AbortController().signal) };
}

test('alert setup finds the chat, sends a test, and writes the configuration; comments stay and secrets are in no file that others read', async () => {
  const instance = await open();
  const file = join(instance.root, 'dbkit.yaml');
  await writeFile(file, '# mine\nmaxBackups: 3 # not seven\nalerts:\n  environment: test\n');
  const bot = await receiver(
    '{"ok":true,"result":[{"message":{"chat":{"id":-100,"title":"On call"}}},{"message":{"chat":{"id":7,"first_name":"Ada"}}}]}',
  );
  await mkdir(instance.stateDir, { recursive: true });
  if (isRoot) await chown(instance.stateDir, serverUser.uid, serverUser.gid);
  const app = await setUp(instance, file, ['webhook', 'hook', `${bot.url}/secret-path`]);
  expect(app.report).toMatchObject({ channel: 'hook', tested: true, configFile: file });
  const text = await readFile(file, 'utf8');
  expect(text).toContain('# mine\nmaxBackups: 3 # not seven\n');
  expect(text).not.toContain('secret-path');
  const secret = await stat(app.report.secretFiles[0]!);
  expect(secret.mode & 0o777).toBe(0o600);
  expect(secret.uid, 'whoever watches can read it').toBe((await stat(instance.stateDir)).uid);
  expect(bot.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(['POST /secret-path']);
  expect(await run(instance, ['alert', 'test', '--config', file])).toMatchObject({ code: 0 });

  const refused = await receiver('{"ok":true}', 500);
  await expect(setUp(instance, file, ['ntfy', 'phone', `${refused.url}/topic`, '', false])).rejects.toMatchObject({
    code: 'recovery.refused',
  });
  expect(await readFile(file, 'utf8'), 'who gives up leaves nothing').toBe(text);
  expect(await readdir(join(instance.stateDir, 'secrets'))).toEqual(['hook-url']);
  await expect(setUp(instance, file, ['slack', 'hook'])).rejects.toMatchObject({ code: 'usage.invalid' });
  expect((await run(instance, ['alert', 'setup', '--config', file])).code, 'without a terminal nobody is asked').toBe(77);
});

test('the chat of a Telegram bot is found among those who have written to it', async () => {
  const bot = await receiver(
    '{"ok":true,"result":[{"message":{"chat":{"id":-100,"title":"On call"}}},{"message":{"chat":{"id":7,"first_name":"Ada"}}}]}',
  );
  const instance = await open();
  const token = await secretFile(instance, 'token', '123:abc');
  const app = await compose.parts({
    asCaller: true,
    command: 'alert test',
    flags: { stateDir: instance.stateDir },
    environment: instance.env,
    workingDirectory: instance.root,
    isTerminal: false,
    signals: { subscribe: () => () => undefined },
    logLevel: 'warn',
    log: () => undefined,
  });
  const signal = new AbortController().signal;
  expect(await app.alerts.telegramChats({ type: 'telegram', token, api: bot.url }, signal)).toEqual([
    { id: '7', name: 'Ada' },
    { id: '-100', name: 'On call' },
  ]);
  expect(bot.requests.map(({ path }) => path)).toEqual(['/bot123:abc/getUpdates']);
  const deaf = { type: 'telegram', token, api: 'http://127.0.0.1:9' };
  await expect(app.alerts.telegramChats(deaf, signal)).rejects.toMatchObject({ message: expect.not.stringContaining('123:abc') });
});
