import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { handOver, handOverState, handOverTree, makeAsRoot, openToAppend } from '../../src/machine/hand-over.ts';
import { asUser } from '../../src/machine/privileges.ts';
import { forgetSecret, keepSecret } from '../../src/machine/secret-file.ts';
import { isRootsOwn, mayWriteIn } from '../../src/machine/trust.ts';
import { isRoot, serverUser } from '../harness/as-user.ts';

/** A file that only root may read, and a folder of the server's user beside it. */
let place: string;
let victim: string;
let theirs: string;
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'dbkit-security-'));
  onTestFinished(() => rmSync(place, { recursive: true, force: true }));
  chmodSync(place, 0o755);
  mkdirSync(join(place, 'rootonly'), { mode: 0o700 });
  victim = join(place, 'rootonly/shadow');
  writeFileSync(victim, 'root:secret', { mode: 0o600 });
  theirs = join(place, 'theirs');
  mkdirSync(theirs);
  if (isRoot) chownSync(theirs, serverUser.uid, serverUser.gid);
});

const untouched = (): void => {
  expect(readFileSync(victim, 'utf8')).toBe('root:secret');
  expect(statSync(victim)).toMatchObject({ uid: process.getuid!(), mode: 0o100600 });
};
const signal = new AbortController().signal;

test.runIf(isRoot)('what is done as the server’s user follows its links no further than that user may go', () => {
  symlinkSync(victim, join(theirs, 'postgresql.log'));
  expect(() => asUser(serverUser, () => openToAppend(join(theirs, 'postgresql.log'), 0o640))).toThrow(/EACCES/);
  untouched();
});

test.runIf(isRoot)('a tree is handed over without its links, and a file with a second name is refused', () => {
  mkdirSync(join(theirs, 'base'));
  writeFileSync(join(theirs, 'base/1'), 'row');
  symlinkSync(join(place, 'rootonly'), join(theirs, 'pg_wal'));
  handOverTree(theirs, serverUser, signal);
  expect(statSync(join(theirs, 'base/1')).uid).toBe(serverUser.uid);
  expect(statSync(join(place, 'rootonly')).uid).toBe(0);
  linkSync(victim, join(theirs, 'hard'));
  expect(() => handOverTree(theirs, serverUser, signal)).toThrow(/another hard link/);
  untouched();
});

test.runIf(isRoot)('a folder that is reached through a link of others is not given away', () => {
  symlinkSync(join(place, 'rootonly'), join(theirs, 'data'));
  mkdirSync(join(place, 'rootonly/inside'));
  expect(() => handOver(join(theirs, 'data/inside'), serverUser, () => true)).toThrow(/a link that others could have placed/);
  expect(statSync(join(place, 'rootonly/inside')).uid).toBe(0);
});

test.runIf(isRoot)('a folder of root’s with other files in it is not given away, an empty one is', () => {
  mkdirSync(join(place, 'backups'));
  handOver(join(place, 'backups'), serverUser, () => false);
  expect(statSync(join(place, 'backups')).uid).toBe(serverUser.uid);
  expect(() => handOver(join(place, 'rootonly'), serverUser, () => false)).toThrow(/holds other files \(shadow\)/);
  expect(statSync(join(place, 'rootonly')).uid).toBe(0);
});

test.runIf(isRoot)('state of root’s is handed over whole, unless it holds what dbkit did not put there', () => {
  const state = join(place, 'state');
  mkdirSync(join(state, 'recoveries'), { recursive: true });
  writeFileSync(join(state, 'status.json'), '{}', { mode: 0o644 });
  writeFileSync(join(state, 'recoveries/1.json'), '{}');
  handOverState(state, serverUser);
  for (const name of ['', 'status.json', 'recoveries', 'recoveries/1.json']) expect(statSync(join(state, name)).uid).toBe(serverUser.uid);
  handOverState(join(place, 'rootonly'), serverUser);
  expect(statSync(join(place, 'rootonly')).uid).toBe(0);
});

test.runIf(isRoot)('folders are made where only root may, and belong to the server’s user', () => {
  expect(makeAsRoot(join(place, 'a/b'), 0o700, serverUser)).toBe(true);
  expect(statSync(join(place, 'a/b'))).toMatchObject({ uid: serverUser.uid, mode: 0o040700 });
  expect(existsSync(join(place, 'a'))).toBe(true);
});

test.runIf(isRoot)('a secret is written with the rights of whoever owns the state directory, and through no link', () => {
  const file = keepSecret(theirs, 'chat-token', 'first');
  expect(keepSecret(theirs, 'chat-token', 'second')).toBe(file);
  expect(readFileSync(file, 'utf8')).toBe('second');
  expect(statSync(file)).toMatchObject({ uid: serverUser.uid, mode: 0o100600 });
  forgetSecret(theirs, file);
  expect(readdirSync(join(theirs, 'secrets'))).toEqual([]);
  rmSync(join(theirs, 'secrets'), { recursive: true });
  symlinkSync(join(place, 'rootonly'), join(theirs, 'secrets'));
  expect(() => keepSecret(theirs, 'shadow', 'theirs')).toThrow(/EACCES|EEXIST|ENOENT|is a link/);
  expect(() => forgetSecret(theirs, join(theirs, 'secrets/shadow'))).toThrow(/EACCES/);
  untouched();
});

test.runIf(isRoot)('a secret is not written where others could put a folder of their own', () => {
  const state = join(place, 'shared/state');
  mkdirSync(state, { recursive: true });
  expect(statSync(keepSecret(state, 'chat-token', 'text'))).toMatchObject({ uid: 0, mode: 0o100600 });
  for (const expose of [() => chmodSync(join(place, 'shared'), 0o777), () => chownSync(join(place, 'shared'), 65_534, 65_534)]) {
    expose();
    expect(() => keepSecret(state, 'chat-token', 'text')).toThrow(/others could put another folder in the place of/);
    chownSync(join(place, 'shared'), 0, 0);
    chmodSync(join(place, 'shared'), 0o755);
  }
});

test('a folder is root’s own only when nobody else could have put anything on the way to it', () => {
  expect(isRootsOwn('/usr/bin')).toBe(true);
  expect(isRootsOwn(tmpdir())).toBe(false);
  expect(isRootsOwn(theirs)).toBe(false);
});

test('a folder’s mode tells who may make files in it', () => {
  chmodSync(theirs, 0o755);
  expect(mayWriteIn(theirs, serverUser)).toBe(true);
  expect(mayWriteIn(theirs, { uid: serverUser.uid + 1, gid: serverUser.gid + 1 })).toBe(false);
  chmodSync(theirs, 0o1777);
  expect(mayWriteIn(theirs, { uid: serverUser.uid + 1, gid: serverUser.gid + 1 })).toBe(true);
});
