import { DbkitError } from '../kernel/errors.ts';
import type { Identity, Owner } from '../kernel/machine.ts';
import { readNamedSync } from './plain-file.ts';

interface Caller {
  readonly gid: number;
  readonly groups: readonly number[];
}

/** Set once root's rights are put down: whom dbkit acts as since then, and what root had. A process has one pair of ids, so this is global. */
let dropped: { readonly owner: Owner; readonly caller: Caller } | undefined;
let isInside = false;

const isRootProcess = (): boolean => process.getuid?.() === 0;

/**
 * False where this Node takes no other ids: it refuses each call with ERR_INVALID_STATE when its libuv may use io_uring, whose work in the kernel
 * would go on with the ids of before (CVE-2024-22017). That is Node with UV_USE_IO_URING=1, and Debian 13's Node 20, whose libuv is a library of
 * its own, always. Changes nothing: it asks for the group that the process has.
 */
export function mayChangeIds(): boolean {
  try {
    process.setegid?.(process.getegid!());
    return true;
  } catch {
    return false;
  }
}

/** Throws `recovery.refused` where root's dbkit cannot act as anybody else: as root it would follow what another user has placed. */
export function requireChangeOfIds(owner: Owner): void {
  if (!mayChangeIds()) throw refusal(owner);
}

function refusal({ uid, gid }: Owner): DbkitError {
  const { node, uv } = process.versions;
  const isLibrary = Object.entries(process.config.variables).some(([name, value]) => name === 'node_shared_libuv' && Boolean(value));
  return new DbkitError(
    'recovery.refused',
    isLibrary
      ? `this Node ${node} cannot put root's rights down: its libuv ${uv} is a library of its own, as in Debian 13's Node 20`
      : `Node ${node} cannot put root's rights down with UV_USE_IO_URING=1`,
    {
      hint: isLibrary
        ? `install Node 22 (\`npm install --global node@22\`, or from nodejs.org), or run dbkit as the server's user: \`setpriv --reuid=${uid} --regid=${gid} --init-groups dbkit …\`; nothing was changed`
        : 'take that variable away: `env -u UV_USE_IO_URING dbkit …`; nothing was changed',
    },
  );
}

/**
 * From now on everything that this process does with files, sockets and signals is done as `owner`, on every thread (credentials(7): effective
 * ids; Node's seteuid goes through the C library, which changes all threads). Links and hard links that `owner` could have placed then lead no
 * further than `owner` could go anyway. The real id stays root's, so that `asCaller` can go back. Nothing happens for anybody but root.
 */
export function actAs(owner: Identity): void {
  if (!isRootProcess() || owner.uid === 0 || dropped !== undefined) return;
  dropped = { owner, caller: { gid: process.getegid!(), groups: process.getgroups!() } };
  putDown(dropped.owner, owner.name);
}

/** Synchronous work with the rights dbkit was started with: starting a program, handing a folder over. What it would await has lost them again. */
export function asCaller<T>(work: () => T extends PromiseLike<unknown> ? never : T): T {
  if (dropped === undefined || isInside) return work();
  const { owner, caller } = dropped;
  process.seteuid!(0);
  isInside = true;
  try {
    process.setegid!(caller.gid);
    process.setgroups!([...caller.groups]);
    return work();
  } finally {
    isInside = false;
    putDown(owner);
  }
}

/**
 * Synchronous work with root's user id and nothing else of it: the start of a program that gets ids of its own, which takes no more. Each id that is
 * changed is told to every thread, so `asCaller` costs three times as much.
 */
export function asRootsUser<T>(work: () => T extends PromiseLike<unknown> ? never : T): T {
  if (dropped === undefined || isInside) return work();
  process.seteuid!(0);
  try {
    return work();
  } finally {
    process.seteuid!(dropped.owner.uid);
  }
}

/** The text of a file that the person who started dbkit named, with that person's rights. Throws the system's failure. */
export const readAsCaller = (path: string): string => asCaller(() => readNamedSync(path).toString());

/** Whom dbkit acts as since it put root's rights down; undefined where it acts as whoever started it. */
export const actingAs = (): Owner | undefined => (isInside ? undefined : dropped?.owner);

/** Synchronous work as `user`, for root that has not put its rights down; for anybody else it is done as it would be anyway. */
export function asUser<T>(user: Owner, work: () => T extends PromiseLike<unknown> ? never : T): T {
  if (!actsAsRoot() || user.uid === 0) return work();
  requireChangeOfIds(user);
  const caller = { gid: process.getegid!(), groups: process.getgroups!() };
  try {
    process.setgroups!([user.gid]);
    process.setegid!(user.gid);
    process.seteuid!(user.uid);
    return work();
  } finally {
    process.seteuid!(0);
    process.setegid!(caller.gid);
    process.setgroups!(caller.groups);
  }
}

/** True where what is done now is done as root. */
export const actsAsRoot = (): boolean => process.geteuid?.() === 0;

/** The groups of whom dbkit acts as; none before that is known. */
export const groupsOf = (): readonly number[] => groupsOfOwner ?? [];

/** `gid` is set as root still; the groups of the user's own login (ssl-cert, say) are looked up once. */
let groupsOfOwner: readonly number[] | undefined;

function putDown({ uid, gid }: Owner, name?: string): void {
  groupsOfOwner ??= lookUpGroups(gid, name);
  process.setgroups!([...groupsOfOwner]);
  process.setegid!(gid);
  process.seteuid!(uid);
}

function lookUpGroups(gid: number, name: string | undefined): readonly number[] {
  if (name === undefined || /^\d+$/.test(name)) return [gid]; // A uid without an entry in /etc/passwd has no other group.
  (process as unknown as { initgroups(user: string, extraGroup: number): void }).initgroups(name, gid); // Not in Node's types.
  return process.getgroups!();
}
