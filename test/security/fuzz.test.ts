import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Backup } from '../../src/backups/backup.ts';
import { parseManifest, renderManifest } from '../../src/backups/base/manifest.ts';
import { baseBackupRecords } from '../../src/backups/base/record.ts';
import { openCatalog, type Recorded } from '../../src/backups/catalog.ts';
import { readManifest } from '../../src/backups/dump/manifest.ts';
import { type DumpRecord, dumpRecords } from '../../src/backups/dump/record.ts';
import { listed } from '../../src/backups/list-backups.ts';
import { listView, showView } from '../../src/cli/backup-views.ts';
import { createStyle } from '../../src/cli/output/style.ts';
import type { ControlRequest } from '../../src/control/contract.ts';
import { createControl } from '../../src/control/socket.ts';
import { createStatusBoard } from '../../src/control/status-board.ts';
import { bytePath } from '../../src/formats/byte-path.ts';
import { volumeOf } from '../../src/instance/volume.ts';
import { failures, toFailure } from '../../src/kernel/errors.ts';
import { createMonitorMemory } from '../../src/monitor/memory.ts';
import { createRecoveryHistory } from '../../src/recovery/history.ts';
import { finishReplacement } from '../../src/recovery/resume.ts';
import { owner, testSystem } from '../backups/copy-engine.fixture.ts';
import { treeOf } from '../harness/files.ts';
import { isLongTier } from '../harness/tier.ts';
import { type Dice, dice, mutated, torn } from './fuzz.ts';

const ROUNDS = isLongTier ? 5_000 : 300;
const signal = new AbortController().signal;
const digest = 'a'.repeat(64);

let root: string;
const within = (...names: string[]): string => join(root, ...names);
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'dbkit-fuzz-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** Each round with dice of its own; the number of the one that fails is in the message. */
async function rounds(work: (at: Dice, round: number) => Promise<unknown>): Promise<void> {
  for (let round = 1; round <= ROUNDS; round += 1) {
    await work(dice(round), round).catch((thrown: unknown) => {
      const { code, message } = toFailure(thrown);
      if (failures[code].exit === 70) throw new Error(`round ${round}: ${message}`, { cause: thrown });
    });
  }
}

const manifestOf = (files: number): string =>
  renderManifest({
    systemIdentifier: '7001',
    files: Array.from({ length: files }, (_, at) => ({
      path: bytePath(Buffer.from(`base/1/${at}`)),
      sizeBytes: at,
      modifiedAt: new Date(0),
      sha256: digest,
    })),
    wal: { timeline: 1, start: 1n, end: 2n },
  });
/** As somebody writes it who knows how it is made. */
function signed(text: string): string {
  const body = text.slice(0, text.lastIndexOf('"Manifest-Checksum": "'));
  return `${body}"Manifest-Checksum": "${createHash('sha256').update(body).digest('hex')}"}\n`;
}

test('any manifest of a base backup is read or damaged, and names nothing outside', () =>
  rounds(async (at) => {
    const document = mutated(JSON.parse(manifestOf(3)) as Record<string, unknown>, at);
    const text = at.below(3) === 0 ? torn(manifestOf(3), at).toString() : JSON.stringify({ ...document, 'Manifest-Checksum': '' });
    const manifest = parseManifest(signed(text.replace('"Manifest-Checksum":""', '"Manifest-Checksum": "')));
    for (const { path } of manifest.files) expect(`/x/${path}`).not.toMatch(/\/\.\.(\/|$)|\0/);
    renderManifest(manifest);
  }));

const dumpRecord = {
  ...{ schema: 'dbkit.dump/v1', label: 'dump_20261120_195400', engine: 'dump', kind: 'logical', state: 'good' },
  ...{ createdAt: '2026-11-20T19:54:00.000Z', verifiedAt: '2026-11-20T19:54:00.000Z', provenAt: null, problem: null, pinned: false },
  ...{ note: 'mine', pgVersion: 15, systemIdentifier: '7001', databases: ['app'], tables: 1, rows: 2, sizeBytes: 3, files: 4 },
  ...{ durationMs: 5, manifestSha256: digest, seal: null },
};
const baseRecord = {
  ...{ schema: 'dbkit.backup/v1', label: 'data_20261120_195400', engine: 'copy', kind: 'physical', mode: 'hot', state: 'good' },
  ...{ createdAt: '2026-11-20T19:54:00.000Z', verifiedAt: '2026-11-20T19:54:00.000Z', pgVersion: 15, systemIdentifier: '7001' },
  ...{ startLsn: '0/1', stopLsn: '0/2', checkpointLsn: '0/1', timeline: 1, walSegmentSizeBytes: 16_777_216, sizeBytes: 1, newBytes: 1 },
  ...{ files: 1, sharedFiles: 0, previous: null, sharing: 'none', durationMs: 1, damage: [{ path: 'base/1/1', blocks: [1] }] },
  ...{ manifestSha256: digest, wal: [{ name: '000000010000000000000001', sizeBytes: 1, sha256: digest }] },
  ...{ tablespaces: [{ oid: '1', location: '/srv' }], tablespaceMap: null, groupAccess: false, copyBeganNs: '1' },
  sources: [['base/1/1', 1, '1', '1', '1']],
};

for (const [name, kind, sample] of [
  ['base backup', baseBackupRecords, baseRecord],
  ['dump', dumpRecords, dumpRecord],
] as const)
  test(`any record of a ${name} is read or passed over, and what is read can be shown`, async () => {
    const backupDir = within('backup');
    mkdirSync(backupDir);
    const style = await createStyle(false);
    const read = kind as { kind: 'data' | 'dump'; parse(value: unknown): Recorded };
    const catalog = openCatalog(read, { backupDir, partial: join(backupDir, '.partial') }, undefined, await testSystem());
    await rounds(async (at) => {
      const file = join(backupDir, `${sample.label}.json`);
      writeFileSync(file, at.below(3) === 0 ? torn(JSON.stringify(sample), at) : JSON.stringify(mutated(sample, at)));
      const record = await catalog.read(sample.label);
      if (record === undefined) return;
      const backup = (kind.toBackup as (record: Recorded, path: string) => Backup)(record, within('there'));
      const details = (kind.describe as (record: Recorded) => ReturnType<typeof kind.describe>)(record);
      const row = listed(backup, 'copy');
      expect(listView([row], style, new Date(0))).toContain(sample.label);
      showView({ backup: row, details, retention: { keep: true, because: 'pinned' } }, style, new Date(0));
    });
  });

const dumpManifest = {
  ...{
    schema: 'dbkit.dump-manifest/v1',
    createdAt: 'now',
    server: { version: '15', major: 15, systemIdentifier: '7001' },
    tool: 'pg_dump',
  },
  databases: [
    {
      name: 'app',
      directory: 'database-1',
      owner: 'app',
      encoding: 'UTF8',
      collate: 'C',
      ctype: 'C',
      locale: { provider: 'c', name: null },
      extensions: [],
      tables: [{ schema: 'public', name: 't', rows: 1, oid: 1 }],
      largeObjects: 0,
      settings: [],
      privileges: null,
    },
  ],
  roles: [],
  files: [{ path: 'database-1/toc.dat', sizeBytes: 1, sha256: digest }],
};

test('any manifest of a dump is read or damaged, and names nothing outside', () =>
  rounds(async (at) => {
    const body = at.below(3) === 0 ? torn(JSON.stringify(dumpManifest), at) : Buffer.from(JSON.stringify(mutated(dumpManifest, at)));
    writeFileSync(within('manifest.json'), body);
    const record = { ...dumpRecord, manifestSha256: createHash('sha256').update(body).digest('hex') } as DumpRecord;
    const { files, databases } = await readManifest(root, record);
    for (const { path } of files) expect(`/x/${path}`).not.toMatch(/\/\.\.(\/|$)|\0/);
    for (const { directory } of databases) expect(directory).toMatch(/^database-\d+$/);
  }));

test('any journal is obeyed inside the data directory and the repository only', async () => {
  const system = await testSystem();
  await rounds(async (at, round) => {
    const scene = within(`scene-${round}`);
    const [dataDir, backupDir, victim] = ['data', 'backup', 'victim'].map((name) => join(scene, name)) as [string, string, string];
    const put = (folder: string): void => {
      for (const name of ['global', 'base', 'pg_wal', 'pg_xact']) mkdirSync(join(folder, name), { recursive: true });
      writeFileSync(join(folder, 'PG_VERSION'), '15\n');
    };
    const [quarantine, incoming] = [join(backupDir, 'quarantine/replaced_20261120_195400'), join(dataDir, '.dbkit/incoming')];
    for (const folder of [victim, at.of([dataDir, quarantine]), incoming]) put(folder);
    for (const folder of [dataDir, backupDir, join(dataDir, '.dbkit')]) mkdirSync(folder, { recursive: true });
    const journal = {
      ...{ schema: 'dbkit.journal/v1', quarantine: at.of([quarantine, victim, join(scene, 'new'), null]), publishes: at.below(2) === 0 },
      ...{ phase: at.of(['set-aside', 'publish']), because: 'x', startedAt: '2026-11-20T19:54:00.000Z' },
      ...at.of([{}, { from: victim }, { from: incoming, entries: ['global', 'base'] }, { entries: ['../../victim/global'] }]),
    };
    const how = at.below(3);
    const body = how === 0 ? JSON.stringify(journal) : how === 1 ? JSON.stringify(mutated(journal, at)) : torn(JSON.stringify(journal), at);
    writeFileSync(volumeOf(dataDir).journal, body);
    const before = await treeOf(victim);
    await finishReplacement({ volume: volumeOf(dataDir), stateDir: join(dataDir, '../state'), backupDir, owner, system }).catch(
      (thrown: unknown) => {
        if (failures[toFailure(thrown).code].exit === 70) throw thrown;
      },
    );
    expect(await treeOf(victim), `round ${round}: ${body.toString()}`).toEqual(before);
    expect(await treeOf(scene).then((tree) => Object.keys(tree).filter((path) => path.startsWith('new')))).toEqual([]);
    rmSync(scene, { recursive: true });
  });
});

const states = {
  'status.json': { schema: 'dbkit.supervisor/v1', pid: 1, mode: 'up', startedAt: 'x', readyAt: null, services: [], lastRecovery: null },
  'monitor.json': { schema: 'dbkit.monitor/v1', state: {}, checkedAt: '2026-11-20T19:54:00.000Z', events: [] },
  'monitor-samples.json': {
    schema: 'dbkit.monitor-samples/v1',
    samples: [{ at: '2026-11-20T19:54:00.000Z', status: 'ok', latencySeconds: 1, diskPercent: 1 }],
  },
  'recoveries/1.json': {
    at: 'x',
    findings: [],
    decision: 'start',
    because: 'x',
    steps: [],
    quarantine: null,
    lost: 'nothing',
    durationMs: 1,
  },
};

test('any file of the state directory is read or set aside', async () => {
  const { files, log, locks } = await testSystem();
  mkdirSync(within('recoveries'));
  const [board, memory, history] = [
    createStatusBoard(root, files),
    createMonitorMemory(root, { files, locks }),
    createRecoveryHistory(root, { files, log }),
  ];
  await rounds(async (at) => {
    const [name, document] = at.of(Object.entries(states));
    writeFileSync(within(name), at.below(3) === 0 ? torn(JSON.stringify(document), at) : JSON.stringify(mutated(document, at)));
    await Promise.all([board.read(), memory.read(), memory.samples(), history.newest(), history.all()]);
  });
});

test('any request on the control socket is answered, and only one that is understood is acted on', async () => {
  const { files, log } = await testSystem();
  const target = { dataDir: '/srv/data', systemIdentifier: '7001' };
  const commands = ['ping', 'status', 'stop', 'start', 'restart', 'reload', 'shutdown', 'recover', 'restore'];
  const asked: ControlRequest[] = [];
  const control = createControl(root, { files, log, taps: new Set(), target: async () => target });
  const serving = await control.serve(async (request) => {
    asked.push(request);
    return null;
  });
  const bodies = [
    { target, service: 'postgresql' },
    { target, request: { dryRun: true, strategy: 'repair' } },
    {
      target,
      dryRun: true,
      request: { source: 'backup', label: 'data_20261120_195400', point: { to: 'time', value: 'x', exclusive: true } },
    },
  ];
  try {
    await rounds(async (at) => {
      const body = at.of(bodies);
      const sent = at.below(3) === 0 ? torn(JSON.stringify(body), at) : Buffer.from(JSON.stringify(mutated(body, at)));
      const status = await post(
        within('control.sock'),
        encodeURIComponent(at.of([...commands, '..', '__proto__', '', 'constructor'])),
        sent,
      );
      expect(status).toBeGreaterThanOrEqual(200);
      expect(status, 'no request is a bug').not.toBe(500);
    });
    for (const { command } of asked) expect(commands).toContain(command);
    expect(await control.ask({ command: 'ping' }, signal), 'it lives').toBeNull();
  } finally {
    await serving.close();
  }
});

function post(socketPath: string, command: string, body: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest({ socketPath, method: 'POST', path: `/${command}`, agent: false }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode!));
    });
    sent.once('error', reject);
    sent.end(body);
  });
}
