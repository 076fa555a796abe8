import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { parse } from 'yaml';
import { startBare } from '../harness/bare-server.ts';
import { boot, type Ended, program, run } from '../harness/dbkit.ts';
import { copyTree } from '../harness/files.ts';
import { beside, configure, type Instance } from '../harness/instance.ts';
import { addRows, expectAllRows, known } from '../harness/rows.ts';
import { scenario } from './disaster.ts';
import { takeBackup } from './take-backup.ts';
import { expectStopped } from './verdict.ts';

const NEWER = 10;

/** Answers like an etcd that knows the cluster, or like the Patroni of another member. */
async function serve(answer: (request: string) => object): Promise<{ readonly port: number; readonly asked: string[]; close(): void }> {
  const asked: string[] = [];
  const server: Server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    response.writeHead(200).end(JSON.stringify(answer(`${request.method} ${request.url}`)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  onTestFinished(close);
  return { port: (server.address() as AddressInfo).port, asked, close };
}

interface Machine {
  readonly etcd: Awaited<ReturnType<typeof serve>>;
  readonly other: Awaited<ReturnType<typeof serve>>;
  restore(words: readonly string[], failAt?: string): Promise<Ended>;
}

/** The machine of n1, whose Patroni is stopped, with rows that came after the backup; n2 runs elsewhere, n3 is gone. */
async function stage(instance: Instance, leader = '127.0.0.1:1'): Promise<Machine> {
  const running = await boot(instance);
  await takeBackup(instance);
  await addRows(instance, known.ledger + 1, NEWER);
  await expectStopped(instance, await running.stop());
  const etcd = await serve(() => ({ node: { value: '77' } }));
  const other = await serve((request) =>
    request.endsWith('/patroni') ? { state: 'running', role: 'replica', patroni: { version: '3.0.2', scope: 'shop' } } : {},
  );
  const config = join(instance.root, 'patroni.yml');
  const command = `'${process.execPath}' '${program}' --config '${instance.configFile}' ha create-replica`;
  const document = {
    ...{ scope: 'shop', name: 'n1', restapi: { listen: '127.0.0.1:1' }, etcd: { host: `127.0.0.1:${etcd.port}` } },
    ...{ bootstrap: { dcs: { ttl: 20 }, initdb: ['data-checksums'] }, postgresql: { data_dir: instance.dataDir, dbkit: { command } } },
  };
  writeFileSync(config, JSON.stringify(document));
  const members = {
    n1: { api: 'http://127.0.0.1:1' },
    n2: { api: `http://127.0.0.1:${other.port}`, server: leader },
    n3: { api: 'http://127.0.0.1:1', server: '127.0.0.1:1' },
  };
  await configure(instance, { services: { patroni: { config } }, ha: { members, scope: 'shop' } });
  const restore = (words: readonly string[], failAt?: string): Promise<Ended> =>
    run(instance, ['ha', 'restore', ...words, '--yes', '--json'], { env: { DBKIT_FAIL_AT: failAt } });
  return { etcd, other, restore };
}

const reportOf = ({ stdout }: Ended) =>
  (
    JSON.parse(stdout) as {
      readonly report: { readonly done: boolean; readonly next: readonly string[]; readonly aside: readonly { readonly path: string }[] };
    }
  ).report;
const deleted = ({ etcd }: Machine): boolean => etcd.asked.includes('DELETE /v2/keys/service/shop?recursive=true');

/** As Patroni does it: the command of the file, then its recovery_conf. */
async function bootstrap(instance: Instance): Promise<Awaited<ReturnType<typeof startBare>>> {
  const file = parse(readFileSync(join(instance.stateDir, 'ha-restore/patroni.yml'), 'utf8'), { version: '1.1' }) as {
    readonly bootstrap: {
      readonly method: string;
      readonly dcs: object;
      readonly dbkit: { readonly command: string; readonly recovery_conf: Record<string, string> };
    };
  };
  expect(file.bootstrap).toMatchObject({ method: 'dbkit', dcs: { ttl: 20 } });
  const { command, recovery_conf: settings } = file.bootstrap.dbkit;
  const made = spawnSync('sh', ['-c', `${command} --scope=shop --datadir=${instance.dataDir}`], { env: instance.env, encoding: 'utf8' });
  expect(made.status, made.stderr).toBe(0);
  writeFileSync(join(instance.dataDir, 'recovery.signal'), '');
  return startBare(instance.programs, instance.dataDir, { ...instance, settings });
}

const class_ = (name: string, longTier: boolean) =>
  ({
    name,
    section: 'C',
    detectedBefore: false,
    healedBy: 'restore',
    rowsLost: 'none: they are set aside',
    from: 'template',
    longTier,
  }) as const;

for (const step of ['', 'cluster-restore.forgotten', 'replace.entry-set-aside:2'])
  scenario(
    class_(`a cluster of machines of their own is restored${step === '' ? '' : `, and dbkit is killed at \`${step}\``}`, true),
    async (instance) => {
      const machine = await stage(instance);
      const refused = await machine.restore(['latest']);
      expect(refused).toMatchObject({ code: 77, stdout: expect.stringContaining('n2 still runs') });
      expect(refused.stdout).toContain('systemctl stop patroni');
      expect(existsSync(join(instance.dataDir, 'PG_VERSION')) && !deleted(machine), 'nothing was changed').toBe(true);
      machine.other.close();
      if (step !== '') expect(await machine.restore(['latest'], step)).toMatchObject({ signal: 'SIGKILL' });
      const ended = await machine.restore(['latest']);
      expect(ended, ended.stderr + ended.stdout).toMatchObject({ code: 0 });
      const { done, next, aside } = reportOf(ended);
      expect({ done, next }).toEqual({ done: false, next: ['on n1: systemctl start patroni', 'on n1: dbkit ha restore'] });
      expect(deleted(machine)).toBe(true);
      expect(readdirSync(instance.dataDir)).toEqual([]);
      expect(aside).toHaveLength(1);
      expect(reportOf(await machine.restore([])).next, 'Patroni was not started yet').toEqual(next);
      const server = await bootstrap(instance);
      expect(server.up, server.words()).toBe(true);
      await expectAllRows(instance, 0);
      await server.stop();
      const old = await startBare(instance.programs, aside[0]!.path, instance);
      expect(old.up, old.words()).toBe(true);
      await expectAllRows(instance, NEWER);
      await old.stop();
    },
  );

scenario(class_('data is to be set aside for a restore elsewhere, and nobody leads there: it is left alone', true), async (instance) => {
  const machine = await stage(instance);
  const refused = await machine.restore(['--aside']);
  expect(refused).toMatchObject({ code: 77, stdout: expect.stringContaining('may be all that is left') });
  const server = await startBare(instance.programs, instance.dataDir, instance);
  await expectAllRows(instance, NEWER);
  await server.stop();
});

scenario(
  class_(
    'dbkit is killed between the last entry that it set aside and the note of it, and a copy is half-way when it is asked again',
    true,
  ),
  async (instance) => {
    const leader = await beside(instance, 'leader');
    const [leaderData, copy] = [join(instance.root, 'leader-data'), join(instance.root, 'copy')];
    for (const to of [leaderData, copy]) await copyTree(instance.dataDir, to);
    const machine = await stage(instance, `127.0.0.1:${leader.port}`);
    writeFileSync(join(leaderData, 'pg_hba.conf'), 'local all all trust\nhost all all 127.0.0.1/32 trust\n');
    const leading = await startBare(instance.programs, leaderData, { ...leader, settings: { listen_addresses: '127.0.0.1' } });
    expect(leading.up, leading.words()).toBe(true);
    const names = readdirSync(instance.dataDir).sort();
    const killed = await machine.restore(['--aside'], `replace.entry-set-aside:${names.length}`);
    expect(killed, killed.stdout + killed.stderr).toMatchObject({ signal: 'SIGKILL' });
    expect(readdirSync(instance.dataDir)).toEqual([]);
    const half = readdirSync(copy, { withFileTypes: true }).filter((entry) => entry.isFile());
    for (const { name } of half) cpSync(join(copy, name), join(instance.dataDir, name));
    writeFileSync(join(instance.dataDir, 'postgresql.conf'), '# of the copy\n');
    const again = await machine.restore(['--aside']);
    expect(again, again.stdout + again.stderr).toMatchObject({ code: 0 });
    expect(readdirSync(instance.dataDir)).toEqual([]);
    const [whole, other] = reportOf(again).aside.map(({ path }) => path);
    expect(readdirSync(whole!).sort()).toEqual(names);
    expect(readdirSync(other!).sort()).toEqual(half.map(({ name }) => name).sort());
    expect(readFileSync(join(other!, 'postgresql.conf'), 'utf8')).toBe('# of the copy\n');
    await leading.stop();
    const old = await startBare(instance.programs, whole!, instance);
    expect(old.up, old.words()).toBe(true);
    await expectAllRows(instance, NEWER);
    await old.stop();
  },
);
