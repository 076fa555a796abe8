import { chown, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Box, type Volumes, volumes } from './box.ts';
import { SUDO_IMAGE } from './image.ts';
import { note, run } from './tools.ts';

const FILLER = '/var/lib/postgresql-data/lost+found';
const NODE = 1000; // The user `node` of the image.

async function disk(): Promise<Volumes> {
  const made = await volumes();
  onTestFinished(() => made.end());
  return made;
}

const status = async (box: Box): Promise<string> => (await box.exec('dbkit', 'status', '--wait', '--timeout', '20')).stderr;

describe('two containers on one volume', () => {
  test('the second is refused and the first unharmed; when the first is killed, the second starts', async () => {
    const shared = await disk();
    const first = await shared.box();
    await first.ready();
    await first.sql('CREATE TABLE ledger AS SELECT generate_series(1, 1000) AS id');
    const second = await shared.box();
    const why = await status(second);
    note('the second', why.trim().split('\n').join(' | '));
    expect(why).toMatch(/held: /);
    await first.sql('INSERT INTO ledger VALUES (1001)');
    expect(await first.sql('SELECT count(*) FROM ledger')).toBe('1001');
    await first.kill();
    const retry = await second.exec('dbkit', 'restart', 'postgresql');
    note('the retry', `${retry.ms} ms`);
    expect(retry).toMatchObject({ code: 0 });
    expect(await second.sql('SELECT count(*) FROM ledger')).toBe('1001');
    expect((await second.stop()).exit).toBe(0);
  });
});

/** What a cautious operator takes away from a container. */
const confined = ['--read-only', '--tmpfs=/tmp', '--tmpfs=/var/run/postgresql', '--tmpfs=/var/lib/dbkit:mode=1777', '--cap-drop=all'];
const unprivileged = [...confined, '--user=node', '--security-opt=no-new-privileges'];

describe('without root', () => {
  test('read-only root file system, no capabilities: it serves, backs up and stops cleanly', async () => {
    const own = await disk();
    for (const name of ['data', 'logs', 'backups']) await chown(join(own.root, name), NODE, NODE);
    const box = await own.box({ flags: unprivileged });
    await box.ready();
    await run('podman', ['exec', box.name, 'psql', '-qc', 'CREATE TABLE ledger AS SELECT generate_series(1, 1000) AS id']);
    expect(await box.exec('dbkit', 'backup', 'create')).toMatchObject({ code: 0 });
    expect(await box.exec('touch', '/usr/x')).toMatchObject({ code: 1 });
    const stop = await box.stop();
    note('stop', `${stop.ms} ms, exit ${stop.exit}`);
    expect(stop.exit).toBe(0);
    expect((await stat(own.dataDir)).uid).toBe(NODE);
  });

  test('a bind mount of another user is refused with the command that helps, and nothing changes', async () => {
    const foreign = await disk();
    for (const name of ['logs', 'backups']) await chown(join(foreign.root, name), NODE, NODE);
    await chown(foreign.dataDir, 4321, 4321);
    const box = await foreign.box({ flags: ['--user=node', '--cap-drop=all'] });
    const why = await status(box);
    note('told', why.trim().split('\n').join(' | '));
    expect(why).toMatch(/\/var\/lib\/postgresql-data/);
    expect(why).toMatch(/run as root: (install|chown)/);
    expect((await stat(foreign.dataDir)).uid).toBe(4321);
  });

  test('where sudo asks for no password, the bind mount is claimed', async () => {
    const foreign = await disk();
    const box = await foreign.box({ image: SUDO_IMAGE, flags: ['--user=node'] });
    await box.ready();
    expect(await box.news()).toMatch(/used sudo to make \/var\/lib\/postgresql-data belong to node/);
    expect((await stat(foreign.dataDir)).uid).toBe(NODE);
    expect((await box.stop()).exit).toBe(0);
  });
});

describe('with root', () => {
  test('a bind mount of another user is claimed', async () => {
    const foreign = await disk();
    await chown(foreign.dataDir, 4321, 4321);
    const box = await foreign.box();
    await box.ready();
    expect((await stat(foreign.dataDir)).uid).toBe(NODE);
  });

  test('a volume that is full: refused, nothing changed; with space again it starts', async () => {
    const own = await disk();
    const { mount, keeper } = await own.small(120 * 1024 ** 2);
    const box = await own.box({ mounts: [mount] });
    await box.ready();
    await box.sql('CREATE TABLE ledger AS SELECT generate_series(1, 1000) AS id');
    await box.stop();
    await keeper.exec('sh', '-c', `mkdir ${FILLER}; dd if=/dev/zero of=${FILLER}/x bs=1M`);
    await box.news();
    await box.start();
    const why = await status(box);
    note('told', why.trim().split('\n').join(' | '));
    expect(why).toMatch(/held: .*(full|space)/);
    await keeper.exec('rm', '-r', FILLER);
    expect(await box.exec('dbkit', 'restart', 'postgresql')).toMatchObject({ code: 0 });
    expect(await box.sql('SELECT count(*) FROM ledger')).toBe('1000');
  });
});
