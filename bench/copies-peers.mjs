// The tools that bench/copies.mjs compares, each with the same verbs: copy what the server has now, restore into a directory, bytes kept.
// All encrypt. A place is a directory or a folder of a bucket.
import { spawnSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PASS = 'a passphrase of a benchmark';
const keysOf = ({ accessKeyId, secretAccessKey }) => ({ AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey });

/** dbkit's own backups, in a directory beside the data: what its copies and restic's are made of. */
export function localBackups({ root, port, dataDir, socketDir, run, emptied }, { binDir, dbkit, copies, secrets }) {
  const config = join(root, 'dbkit.json');
  const keyFile = join(root, 'run', 'recovery-sheet.txt');
  const flags = ['--data-dir', dataDir, '--socket-dir', socketDir, '--port', String(port), '--bin-dir', binDir, '--quiet'];
  const callWith = (config, folder, ...words) =>
    run(
      process.execPath,
      [dbkit, ...words, ...flags, ...['backup', 'state', 'log'].flatMap((name) => [`--${name}-dir`, join(root, `${folder}-${name}`)])],
      { DBKIT_CONFIG: config, DBKIT_WAL: 'off', ...secrets },
    );
  const call = (folder, ...words) => callWith(config, folder, ...words);
  const begin = (folder) => ['backup', 'state', 'log'].map((name) => emptied(`${folder}-${name}`));
  writeFileSync(config, '{}');
  begin('dbkit');
  const { recipient } = JSON.parse(call('dbkit', 'keys', 'create', keyFile, '--json')).report;
  const named = Object.entries(copies).map(([name, place]) => [name, { ...place, recipients: [recipient], afterBackup: false }]);
  writeFileSync(config, JSON.stringify({ copies: Object.fromEntries(named) }));
  const folder = join(root, 'dbkit-backup');
  return {
    call,
    callWith,
    begin,
    keyFile,
    reset: () => begin('dbkit'),
    take: () => call('dbkit', 'backup', 'create'),
    newest: () =>
      join(
        folder,
        readdirSync(folder)
          .filter((name) => /^data_\d{8}_\d{6}$/.test(name))
          .sort()
          .at(-1),
      ),
  };
}

/** `backup copy` of the newest local backup; restored on a machine that has nothing but the configuration and the key. */
export const kit = ({ call, begin, keyFile }, place) => ({
  name: `dbkit, ${place.kind}`,
  place,
  copy: () => call('dbkit', 'backup', 'copy', '--to', place.name),
  restore: (target) => {
    begin('blank');
    call('blank', 'backup', 'restore', 'latest', '--from', place.name, '--identity', keyFile, '--target', target, '--yes');
  },
});

/** Of the newest local backup, under one path and by links, so that it need not read what it knows. */
export function restic({ root, run, emptied }, local, place) {
  const source = join(root, 'restic-source');
  const where = place.bucket ? `s3:${place.bucket.endpoint}/${place.bucket.name}/${place.folder}` : place.path;
  const options = ['-q', '-r', where, ...(place.bucket ? ['--cacert', place.bucket.certFile] : [])];
  const env = { RESTIC_PASSWORD: PASS, XDG_CACHE_HOME: join(root, 'restic-cache'), ...(place.bucket ? keysOf(place.bucket) : {}) };
  const call = (...words) => run('restic', [...options, ...words], env);
  return {
    name: `restic, ${place.kind}`,
    place,
    reset: () => {
      emptied('restic-cache');
      call('init');
    },
    prepare: () => {
      emptied('restic-source');
      run('cp', ['-al', `${local.newest()}/.`, source]);
    },
    copy: () => call('backup', '--ignore-ctime', source),
    /** 0.14 knows no path within a snapshot. */
    restore: (target) => {
      emptied('restic-cache');
      call('restore', 'latest', '--target', `${target}-whole`);
      run('mv', [join(`${target}-whole`, source), target]);
    },
  };
}

/** Bundles, zst, two processes, and blocks where the program has them: full, then incr. */
export function backrest({ root, port, dataDir, socketDir, own, run, emptied }, program, place) {
  const version = /\d+\.\d+/.exec(run(program, ['version']))[0];
  const hasBlocks = Number(version.split('.')[1]) >= 46;
  const folder = `backrest-${version}-${place.kind}`;
  const conf = join(root, `${folder}.conf`);
  const base = [`--config=${conf}`, '--stanza=bench'];
  const lines = [
    'compress-type=zst',
    'process-max=2',
    'start-fast=y',
    'archive-copy=y',
    'log-level-console=warn',
    'log-level-file=off',
    'repo1-bundle=y',
    ...(hasBlocks ? ['repo1-block=y', `cmd=${program}`] : []),
    'repo1-cipher-type=aes-256-cbc',
    `repo1-cipher-pass=${PASS}`,
    ...['lock', 'log', 'spool'].map((name) => `${name}-path=${own(`${folder}-${name}`)}`),
  ];
  const repository = place.bucket
    ? [
        `repo1-path=/${place.folder}`,
        'repo1-type=s3',
        `repo1-s3-bucket=${place.bucket.name}`,
        'repo1-s3-endpoint=localhost',
        `repo1-storage-port=${place.bucket.port}`,
        `repo1-s3-region=${place.bucket.region}`,
        'repo1-s3-uri-style=path',
        `repo1-storage-ca-file=${place.bucket.certFile}`,
        `repo1-s3-key=${place.bucket.accessKeyId}`,
        `repo1-s3-key-secret=${place.bucket.secretAccessKey}`,
      ]
    : [`repo1-path=${place.path}`];
  const server = [`pg1-path=${dataDir}`, `pg1-port=${port}`, `pg1-socket-path=${socketDir}`, 'pg1-user=postgres'];
  writeFileSync(conf, ['[global]', ...lines, ...repository, '[bench]', ...server, ''].join('\n'));
  const call = (...words) => run(program, [...base, ...words]);
  return {
    name: `pgBackRest ${version}${hasBlocks ? ' blocks' : ''}, ${place.kind}`,
    place,
    /** WAL lies in a folder of its own, and is not counted: dbkit's and restic's backups hold the WAL that they need, and so do these (archive-copy). */
    counted: 'backup',
    reset: () => {
      emptied(`${folder}-spool`);
      call('stanza-create');
    },
    archive: () => [program, ...base, 'archive-push', '%p'].join(' '),
    copy: (isFirst) => call(`--type=${isFirst ? 'full' : 'incr'}`, 'backup'),
    restore: (target) => call(`--pg1-path=${target}`, '--archive-mode=off', '--type=immediate', '--target-action=promote', 'restore'),
  };
}

/** dbkit with pgBackRest as its engine, with the same settings: what it costs beyond the installed pgBackRest. To a directory only. */
function engine({ root, run }, { callWith, begin }, place) {
  const config = join(root, 'engine.json');
  const passFile = join(root, 'engine-pass');
  writeFileSync(passFile, PASS, { mode: 0o644 });
  const repository = { type: 'directory', path: place.path };
  writeFileSync(config, JSON.stringify({ backup: { engine: 'pgbackrest' }, pgbackrest: { repository, cipherPass: { file: passFile } } }));
  const call = (...words) => callWith(config, 'engine', ...words);
  const base = [`--config=${root}/engine-state/pgbackrest/pgbackrest.conf`, '--stanza=main'];
  return {
    name: `dbkit over pgBackRest, ${place.kind}`,
    place,
    counted: 'backup',
    reset: () => {
      begin('engine');
      call('backup', 'list'); // It writes the configuration.
      run('pgbackrest', [...base, 'stanza-create']);
    },
    archive: () => ['pgbackrest', ...base, 'archive-push', '%p'].join(' '),
    copy: () => call('backup', 'create'),
    restore: (target) => call('backup', 'restore', 'latest', '--target', target, '--yes'),
  };
}

/** Every tool that is installed, for each place; those that are not are said. */
export function copyPeers(throwaway, local, placesOf) {
  const peers = placesOf('dbkit').map((place) => kit(local, place));
  const has = (program) => spawnSync(program, ['version'], { stdio: 'ignore' }).error === undefined;
  if (has('restic')) peers.push(...placesOf('restic').map((place) => restic(throwaway, local, place)));
  else console.log('restic is not installed, and left out');
  for (const program of ['pgbackrest', process.env.PGBACKREST].filter(Boolean))
    if (has(program)) peers.push(...placesOf(program.split('/').at(-1)).map((place) => backrest(throwaway, program, place)));
    else console.log(`${program} is not installed, and left out`);
  if (has('pgbackrest')) peers.push(engine(throwaway, local, placesOf('engine')[0]));
  if (!process.env.PGBACKREST)
    console.log('PGBACKREST names no other pgBackRest: blocks are only there where the installed one is 2.46 or newer');
  return peers;
}
