'use strict';
const { existsSync, openSync, readFileSync, readSync } = require('node:fs');
const { dirname, join, relative, resolve } = require('node:path');
const { fileURLToPath } = require('node:url');
const { Script } = require('node:vm');

const nodeRequire = require;
const DIST = join(__dirname, '../dist/');
const CACHE = join(DIST, 'code-cache.bin');

/** Which Node this is: a distribution's build of the same version has other libraries in it. */
const NODE = JSON.stringify([process.versions, process.platform, process.arch]);

exports.isBuilt = () => existsSync(join(DIST, 'main.js'));

/**
 * dist/main.js and its chunks, which are CommonJS, with what V8 has compiled of them before: compiling is half of what a short command costs. Node
 * itself keeps no such cache before version 22. V8 takes a part only for the same version, flags and length of the source; the build names chunks by their
 * content and writes the cache last, so a part never belongs to another source. The version that V8 compares leaves out Node's patches of it, which
 * change what bytecode means (20.19.0 runs that of 20.20.2, wrongly): so the cache names the very Node that made it. Without the cache, or with
 * another Node, all is compiled as ever.
 */
exports.openProgram = openProgram;
function openProgram() {
  const cached = openCache();
  const modules = new Map();
  const scripts = new Map();
  const load = (path) => {
    const known = modules.get(path);
    if (known) return known.exports;
    const name = relative(DIST, path);
    // As Node wraps a CommonJS module, on one line, so that lines in stacks are those of the file.
    const script = new Script(`(function (exports, require, module, __filename, __dirname) { ${readFileSync(path, 'utf8')}\n})`, {
      filename: join('dbkit/dist', name), // The cache keeps it: a path would be that of whoever built the package.
      cachedData: cached(name),
    });
    scripts.set(name, script);
    const module = { exports: {} };
    modules.set(path, module);
    const require = (id) => (id.startsWith('.') ? load(resolve(dirname(path), id)) : nodeRequire(id));
    require.import = (url) => (fileURLToPath(url).startsWith(DIST) ? Promise.resolve(load(fileURLToPath(url))) : import(url));
    try {
      script.runInThisContext()(module.exports, require, module, path, dirname(path));
    } catch (cause) {
      modules.delete(path); // Half of it is none: whoever asks again gets it whole, or the reason.
      throw cause;
    }
    return module.exports;
  };
  return {
    main: load(join(DIST, 'main.js')).main,
    /** What has been compiled by now, as the build keeps it. */
    codeCache: () => packCache(scripts),
  };
}

/** `name` → its part. The file: the length of the index in 4 bytes, `{node, parts: {name: [offset, length]}}` as JSON, the parts. */
function openCache() {
  try {
    const file = openSync(CACHE); // As long as the process lives: chunks are loaded when they are wanted.
    const read = (offset, length) => {
      const bytes = Buffer.allocUnsafeSlow(length);
      return readSync(file, bytes, 0, length, offset) === length ? bytes : undefined;
    };
    const indexBytes = read(0, 4).readUInt32LE();
    const { node, parts } = JSON.parse(read(4, indexBytes).toString());
    return (name) => (node === NODE && parts[name] ? read(4 + indexBytes + parts[name][0], parts[name][1]) : undefined);
  } catch {
    return () => undefined;
  }
}

function packCache(scripts) {
  const index = {};
  const parts = [];
  let offset = 0;
  for (const [name, script] of scripts) {
    const part = script.createCachedData();
    index[name] = [offset, part.length];
    parts.push(part);
    offset += part.length;
  }
  const words = Buffer.from(JSON.stringify({ node: NODE, parts: index }));
  const head = Buffer.alloc(4);
  head.writeUInt32LE(words.length);
  return Buffer.concat([head, words, ...parts]);
}
