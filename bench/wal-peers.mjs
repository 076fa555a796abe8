// The tools that bench/wal.mjs compares: each has a server of its own, and may say how soon it has a commit, what it costs, and how it gives WAL back.
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const SLOT = 'bench';
const GIB = 2 ** 30;

const cpuSeconds = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
};
const ownerOf = ({ dataDir }) => {
  const { uid, gid } = statSync(dataDir);
  return process.getuid() === 0 ? { uid, gid } : {};
};
const folderOf = (server, name) => {
  const path = join(server.root, name);
  mkdirSync(path, { recursive: true });
  spawnSync('chown', [`--reference=${server.dataDir}`, path]);
  return path;
};
const connect = async ({ socketDir: host, port }) => {
  const client = new pg.Client({ host, port, user: 'postgres', database: 'postgres' });
  await client.connect();
  return client;
};
const position = async (client, name) => BigInt((await client.query(`SELECT (${name} - '0/0')::text AS lsn`)).rows[0].lsn);

/** It fsyncs each piece as it comes (--synchronous), as dbkit does, and says so to the server. */
export async function receivewal(server, binDir) {
  const client = await connect(server);
  const folder = folderOf(server, 'receivewal');
  const where = ['-h', server.socketDir, '-p', String(server.port), '-U', 'postgres', '-D', folder, `--slot=${SLOT}`];
  const program = join(binDir, 'pg_receivewal');
  spawnSync(program, [...where, '--create-slot'], ownerOf(server));
  const child = spawn(program, [...where, '--synchronous'], { stdio: 'ignore', ...ownerOf(server) });
  const flushed = async () => {
    const { rows } = await client.query(`SELECT (flush_lsn - '0/0')::text AS lsn FROM pg_stat_replication WHERE flush_lsn IS NOT NULL`);
    return BigInt(rows[0]?.lsn ?? 0);
  };
  return {
    name: 'pg_receivewal --synchronous',
    server,
    latencies: async (count) => {
      await client.query('CREATE TABLE commits (id int)');
      const took = [];
      for (let id = 0; id < count; id += 1) {
        await sleep(20 + Math.random() * 60);
        await client.query('INSERT INTO commits VALUES ($1)', [id]);
        const began = performance.now();
        const lsn = await position(client, 'pg_current_wal_flush_lsn()');
        while ((await flushed()) < lsn) await sleep(1);
        took.push(performance.now() - began);
      }
      return took.sort((a, b) => a - b);
    },
    before: async () => ({ cpu: cpuSeconds(child.pid), lsn: await position(client, 'pg_current_wal_lsn()') }),
    cost: async ({ cpu, lsn }) => {
      const end = await position(client, 'pg_current_wal_lsn()');
      while ((await flushed()) < end) await sleep(20);
      return (cpuSeconds(child.pid) - cpu) / (Number(end - lsn) / GIB);
    },
    close: async () => {
      child.kill('SIGINT');
      await client.end();
    },
  };
}

const call = (root) => `pgbackrest --config=${root}/pgbackrest.conf --stanza=${SLOT}`;

/** A segment goes to the archive when it is full, so it has no figure for one commit. */
export function backrest(server) {
  const repository = join(server.root, 'repository');
  for (const name of ['repository', 'spool', 'lock', 'log']) folderOf(server, name);
  writeFileSync(
    join(server.root, 'pgbackrest.conf'),
    `[global]\nrepo1-path=${repository}\nspool-path=${server.root}/spool\nlock-path=${server.root}/lock\nlog-path=${server.root}/log\ncompress-type=zst\narchive-async=y\nprocess-max=2\n` +
      `[${SLOT}]\npg1-path=${server.dataDir}\npg1-port=${server.port}\npg1-socket-path=${server.socketDir}\npg1-user=postgres\n`,
  );
  const run = (words) => {
    const { status, stdout, stderr } = spawnSync('/bin/sh', ['-c', `${call(server.root)} ${words}`], {
      encoding: 'utf8',
      cwd: '/',
      ...ownerOf(server),
    });
    if (status !== 0) throw new Error(`${words}: ${stdout}${stderr}`);
  };
  run('stanza-create');
  return {
    name: 'pgBackRest archive-push, asynchronous',
    server,
    fetch: (most) => {
      const names = readdirSync(repository, { recursive: true })
        .map((path) => /([0-9A-F]{24})-[0-9a-f]+\.zst$/.exec(path)?.[1])
        .filter((name) => name !== undefined)
        .sort()
        .slice(0, most);
      const began = performance.now();
      for (const name of names) run(`archive-get ${name} ${server.root}/spool/segment`);
      return { ms: (performance.now() - began) / names.length, count: names.length };
    },
  };
}
backrest.settings = (root) => ({ archive_mode: 'on', archive_command: `${call(root)} archive-push %p` });
