// What a backup costs as a database grows while the change stays the same: one table of a few megabytes is written, the rest is untouched.
// Usage: node bench/growth.mjs [bin-dir] [gigabytes…]
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { median, timed } from './measure.mjs';

const [binDir = `/usr/lib/postgresql/${newestMajor()}/bin`, ...sizes] = process.argv.slice(2);
const dbkit = resolve('bin/dbkit.js');
const ROUNDS = 5;
/** Told to the inner run, which has a server to talk to. */
const INNER = 'DBKIT_BENCH_GIGABYTES';

function newestMajor() {
  return readdirSync('/usr/lib/postgresql')
    .map(Number)
    .sort((a, b) => b - a)[0];
}
const sql = (...texts) => {
  const { status, stderr } = spawnSync(join(binDir, 'psql'), ['-qX', '-v', 'ON_ERROR_STOP=1', ...texts.flatMap((text) => ['-c', text])], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
};
function backup(root) {
  const { status, stderr } = spawnSync(process.execPath, [dbkit, 'backup', 'create', '--quiet', '--local', root, '--bin-dir', binDir], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(stderr);
}

async function inner(root, gigabytes) {
  // 16 kB a row, kept as they are, in tables of a hundred megabytes: as many files as a real database of that size would have.
  for (let table = 0; table < gigabytes * 10; table += 1)
    sql(
      `CREATE TABLE noise${table} (i int, bytes bytea)`,
      `ALTER TABLE noise${table} ALTER bytes SET STORAGE EXTERNAL`,
      `INSERT INTO noise${table} SELECT i, decode(repeat(md5(i::text), 1000), 'hex') FROM generate_series(1, 6000) i`,
    );
  sql('CREATE TABLE hot AS SELECT i FROM generate_series(1, 100000) i', 'VACUUM FREEZE');
  backup(root);
  const runs = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    spawnSync('sleep', ['2.5']); // What changed a moment ago is never shared.
    sql('UPDATE hot SET i = i + 1', 'VACUUM hot');
    const ms = await timed(() => backup(root));
    if (round > 0) runs.push(ms);
  }
  console.log(
    `${gigabytes.padStart(5)} GB ${median(runs).toFixed(0).padStart(8)} ms   (${Math.min(...runs).toFixed(0)} to ${Math.max(...runs).toFixed(0)})`,
  );
}

if (process.env[INNER]) await inner(process.env.DBKIT_BENCH_ROOT, process.env[INNER]);
else {
  console.log(`one backup after a table of 7 MB was written, median of ${ROUNDS}`);
  for (const gigabytes of sizes.length > 0 ? sizes : ['0.5', '2.5', '10']) {
    const root = mkdtempSync(join(process.env.BENCH_DIR ?? tmpdir(), 'dbkit-bench-'));
    chmodSync(root, 0o755);
    const env = { ...process.env, [INNER]: gigabytes, DBKIT_BENCH_ROOT: root, DBKIT_BACKUP_AFTER_START: 'false', MAX_BACKUPS: '2' };
    const words = ['entrypoint', '--quiet', '--local', root, '--bin-dir', binDir, '--', process.execPath, process.argv[1], binDir];
    spawnSync(process.execPath, [dbkit, ...words], { env, stdio: 'inherit' });
    rmSync(root, { recursive: true, force: true });
  }
}
