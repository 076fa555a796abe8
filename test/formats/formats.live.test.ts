import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { parseConf, parseHba, parseIdent } from '../../src/formats/conf.ts';
import { parseControlFile } from '../../src/formats/control-file.ts';
import { parseFilenodeMap } from '../../src/formats/filenode-map.ts';
import { resetWal } from '../../src/formats/reset-wal.ts';
import { mappedByOid } from '../../src/formats/system-indexes.ts';
import { formatLsn } from '../../src/formats/wal-segment.ts';
import { type ProofTask, proveFile } from '../../src/inspection/prove-file.ts';
import { openInstance } from '../harness/instance.ts';
import { installed } from '../harness/majors.ts';

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

describe.each(installed)('PostgreSQL $major', (programs) => {
  const controlBytes = async () => {
    const instance = await openInstance({ programs, from: 'template' });
    const bytes = readFileSync(join(instance.dataDir, 'global/pg_control'));
    const parsed = parseControlFile(bytes);
    if ('problem' in parsed) throw new Error(parsed.problem);
    return { instance, bytes, control: parsed.control };
  };
  const tool = (name: string): string | undefined =>
    existsSync(join(programs.directory, name)) ? join(programs.directory, name) : undefined;

  test('pg_control says what pg_controldata says', async ({ skip }) => {
    const { instance, control } = await controlBytes();
    expect(control).toMatchObject({ major: programs.major, state: 'shut down', checksums: true, blockSizeBytes: 8192 });
    const controldata = tool('pg_controldata') ?? skip('pg_controldata is not part of this package');
    const said = new Map(
      execFileSync(controldata, ['-D', instance.dataDir], { encoding: 'utf8', env: { LC_ALL: 'C' } })
        .split('\n')
        .map((line) => line.split(/:\s+/, 2) as [string, string]),
    );
    expect({
      systemIdentifier: control.systemIdentifier,
      checkpoint: formatLsn(control.checkpointLsn),
      redo: formatLsn(control.redoLsn),
      timeline: String(control.timeline),
      nextXid: `0:${control.nextXid}`,
      oldestXid: String(control.oldestXid),
      nextOid: String(control.nextOid),
      nextMulti: String(control.nextMulti),
      nextMultiOffset: String(control.nextMultiOffset),
      oldestMulti: String(control.oldestMulti),
      maxConnections: String(control.settings.maxConnections),
      walSegment: String(control.walSegmentSizeBytes),
    }).toEqual({
      systemIdentifier: said.get('Database system identifier'),
      checkpoint: said.get('Latest checkpoint location'),
      redo: said.get("Latest checkpoint's REDO location"),
      timeline: said.get("Latest checkpoint's TimeLineID"),
      nextXid: said.get("Latest checkpoint's NextXID"),
      oldestXid: said.get("Latest checkpoint's oldestXID"),
      nextOid: said.get("Latest checkpoint's NextOID"),
      nextMulti: said.get("Latest checkpoint's NextMultiXactId"),
      nextMultiOffset: said.get("Latest checkpoint's NextMultiOffset"),
      oldestMulti: said.get("Latest checkpoint's oldestMultiXid"),
      maxConnections: said.get('max_connections setting'),
      walSegment: said.get('Bytes per WAL segment'),
    });
  });

  test('a single flipped bit anywhere in pg_control is noticed', async () => {
    const { bytes } = await controlBytes();
    for (const at of [0, 8, 33, 100, 260]) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1;
      expect(parseControlFile(flipped), `byte ${at}`).toHaveProperty('problem');
    }
  });

  test('the filenode map of global names pg_database and its indexes, and files that are there', async () => {
    const { instance } = await controlBytes();
    const map = parseFilenodeMap(readFileSync(join(instance.dataDir, 'global/pg_filenode.map')));
    if ('problem' in map) throw new Error(map.problem);
    expect([...map.files.keys()]).toEqual(expect.arrayContaining([1262, 2671, 2672]));
    for (const file of map.files.values()) expect(existsSync(join(instance.dataDir, 'global', String(file)))).toBe(true);
    expect(mappedByOid(2671)).toEqual({ kind: 'index', name: 'pg_database_datname_index', table: 'pg_database' });
  });

  test('every page of a sound cluster passes, and a flipped byte does not', async () => {
    const { instance } = await controlBytes();
    const file = join(instance.dataDir, 'global/1262');
    const task: ProofTask = {
      file,
      path: 'global/1262',
      firstBlock: 0,
      blockSizeBytes: 8192,
      checksums: true,
      named: new Float64Array(0),
      blocksAtLeast: 0,
      kept: undefined,
      suspicion: undefined,
      isComplete: false,
      isFollowed: false,
      endLsn: Number.POSITIVE_INFINITY,
      isLive: false,
      isAtRest: false,
    };
    const withoutChecksums = { ...task, checksums: false };
    expect(proveFile(task)).toMatchObject({ pages: 1, doubts: [] });
    const bytes = readFileSync(file);
    bytes[5000]! ^= 1;
    writeFileSync(file, bytes);
    expect(proveFile(task)).toMatchObject({ pages: 1, doubts: [{ block: 0, doubt: 'unsound' }] });
    expect(proveFile(withoutChecksums), 'nobody can tell').toMatchObject({ pages: 1, doubts: [] });
    writeFileSync(file, bytes.fill(0x5a, 0, 100));
    expect(proveFile(withoutChecksums)).toMatchObject({ pages: 1, doubts: [{ block: 0, doubt: 'unsound' }] });
  });

  test('new WAL is accepted by pg_controldata and pg_waldump', async ({ skip }) => {
    const { instance, bytes, control } = await controlBytes();
    const fresh = resetWal(bytes, readdirSync(join(instance.dataDir, 'pg_wal')));
    expect(parseControlFile(fresh.control)).toMatchObject({ control: { state: 'shut down', systemIdentifier: control.systemIdentifier } });
    const waldump = tool('pg_waldump') ?? skip('pg_waldump is not part of this package');
    const folder = mkdtempSync(join(tmpdir(), 'dbkit-wal-'));
    folders.push(folder);
    writeFileSync(join(folder, fresh.segmentName), fresh.segment);
    const dump = spawnSync(waldump, ['-p', folder, '-n', '1', fresh.segmentName], { encoding: 'utf8' });
    expect(dump.stdout).toMatch(/CHECKPOINT_SHUTDOWN/);
  });

  test('new WAL is refused for a cluster that was not shut down', async () => {
    const { bytes } = await controlBytes();
    const parsed = Buffer.from(bytes);
    parsed.writeInt32LE(6, 16); // In production; the checksum is wrong now, which is refused as well.
    expect(() => resetWal(parsed, [])).toThrow();
  });

  test('the configuration that initdb writes parses', async () => {
    const { instance } = await controlBytes();
    const read = (name: string): string => readFileSync(join(instance.dataDir, name), 'utf8');
    expect(parseConf(read('postgresql.conf')).problems).toEqual([]);
    expect(parseConf(read('postgresql.auto.conf')).problems).toEqual([]);
    expect(parseHba(read('pg_hba.conf'))).toMatchObject({ problems: [], records: expect.any(Number) });
    expect(parseIdent(read('pg_ident.conf')).problems).toEqual([]);
  });
});

describe('configuration files', () => {
  test.each([
    ['a = b', []],
    ["shared_buffers = 128MB # comment\nport=5433\nlog_line_prefix = '%m ''q'' '", []],
    ["include_dir 'conf.d'\ninclude_if_exists = 'x.conf'\nmy.setting = on", []],
    ['<<<<<<< HEAD\nport = 5432', ['line 1: it is no setting']],
    ['port 5432 5433', ['line 1: it is no setting']],
    ["name = 'open", ['line 1: the value of name cannot be read']],
  ])('%s', (text, problems) => expect(parseConf(text).problems).toEqual(problems));

  test('values are unquoted, and the last one wins', () => {
    expect(parseConf("port = 1\nPort = '2'\nx = 'it''s'").settings).toEqual(
      new Map([
        ['port', '2'],
        ['x', "it's"],
      ]),
    );
  });

  test('a record of pg_hba.conf needs a type, enough fields and a method', () => {
    expect(
      parseHba('local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1 255.255.255.255 md5').problems,
    ).toEqual([]);
    expect(parseHba('locale all all trust').problems).toHaveLength(1);
    expect(parseHba('host all all 127.0.0.1/32').problems).toHaveLength(1);
  });
});
