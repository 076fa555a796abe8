// Preloaded into dbkit (NODE_OPTIONS=--import): from the N-th call on that could meet it, the file system answers with one failure, once or for good.
// DBKIT_TEST_FILES_FAIL is {"below": folder, "code": "EIO", "at": N, "forGood": boolean}; each thread counts for itself.
import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { constants } from 'node:os';

const { below, code, at, forGood } = JSON.parse(process.env.DBKIT_TEST_FILES_FAIL);
const { O_WRONLY, O_RDWR, O_CREAT } = fs.constants;

const openers = ['open', 'opendir', 'readdir', 'readFile', 'writeFile', 'appendFile', 'copyFile', 'mkdtemp', 'cp'];
const writers = ['writeFile', 'appendFile', 'copyFile', 'cp', 'mkdir', 'mkdtemp', 'symlink', 'link'];
const changers = [...writers, 'rename', 'rm', 'rmdir', 'unlink', 'chmod', 'chown', 'lchown', 'utimes', 'lutimes', 'truncate'];
const lookers = ['stat', 'lstat', 'access', 'realpath', 'readlink', 'statfs', 'readFile', 'readdir', 'opendir'];
/** What each failure can be the answer to (open(2), write(2), rename(2)). */
const meets = {
  EIO: { calls: new Set([...changers, ...lookers, 'open']), open: () => true, descriptor: () => true },
  EMFILE: { calls: new Set(openers), open: () => true, descriptor: () => false },
  ENOSPC: { calls: new Set(writers), open: isForWriting, descriptor: (name) => name.startsWith('write') || name === 'appendFile' },
  EROFS: { calls: new Set(changers), open: isForWriting, descriptor: (name) => ['chmod', 'chown', 'utimes'].includes(name) },
}[code];

function isForWriting(flags) {
  return typeof flags === 'string' ? /[wa+]/.test(flags) : ((flags ?? 0) & (O_WRONLY | O_RDWR | O_CREAT)) !== 0;
}

let met = 0;
function failNow() {
  met += 1;
  return forGood ? met >= at : met === at;
}
const failure = (syscall, path) =>
  Object.assign(new Error(`${code}: injected, ${syscall} '${path}'`), { code, errno: -constants.errno[code], syscall, path });
const isBelow = (path) => (typeof path === 'string' || Buffer.isBuffer(path)) && path.toString().startsWith(below);

/** Undefined, or the failure that this call meets. */
function meeting(name, [path, flags]) {
  const call = name.replace(/Sync$/, '');
  if (!isBelow(path)) return undefined;
  const could = call === 'open' ? meets.open(flags ?? 'r') : meets.calls.has(call);
  return could && failNow() ? failure(call, path) : undefined;
}

for (const [home, names] of [
  [fs.promises, Object.keys(fs.promises)],
  [fs, Object.keys(fs).filter((name) => name.endsWith('Sync'))],
])
  for (const name of names) {
    const own = home[name];
    if (typeof own !== 'function' || own.prototype?.constructor === own) continue;
    const isSync = home === fs;
    home[name] = function (...args) {
      const met = meeting(name, args);
      if (met === undefined) return own.apply(this, args);
      if (isSync) throw met;
      return Promise.reject(met);
    };
    Object.assign(home[name], own);
  }

const handle = await fs.promises.open('/dev/null');
const prototype = Object.getPrototypeOf(handle);
await handle.close();
for (const name of [
  'read',
  'readFile',
  'write',
  'writeFile',
  'writev',
  'appendFile',
  'sync',
  'datasync',
  'stat',
  'chmod',
  'chown',
  'utimes',
]) {
  const own = prototype[name];
  prototype[name] = function (...args) {
    return meets.descriptor(name) && failNow() ? Promise.reject(failure(name, `fd ${this.fd}`)) : own.apply(this, args);
  };
}
syncBuiltinESMExports();
