// Builds dist/: entries and chunks as CommonJS, and what V8 compiles of them (bin/program.js). Splitting keeps every `await import()` lazy, so
// `dbkit --version` loads almost nothing. esbuild splits modules only, so they are built as such and each is turned into CommonJS.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { build, context, transform } from 'esbuild';

/** zstd's WebAssembly goes into its chunk: a file beside it would have to be found, and read by whom dbkit acts as. */
const embedZstd = {
  name: 'embed-zstd',
  setup({ onLoad }) {
    onLoad({ filter: /zstd-wasm\/dist\/common\/index\.node\.js$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      const contents = text.replace("yield readFile(resolve(__dirname, './zstd.wasm'))", "require('./zstd.wasm')");
      if (contents === text) throw new Error(`${path} loads its WebAssembly in another way by now`);
      return { contents, loader: 'js' };
    });
  },
};

const PATIENCE_MS = 60_000;
const TARGET = 'node20.19';
/** A path that is only known when it runs is of somebody's plugin, or names a chunk: bin/program.js knows which. */
const importedByPath = /\bimport\((?!["'])/g;
const HELP = { __url: "const __url=require('node:url').pathToFileURL(__filename).href;", __import: 'const __import=require.import;' };

/** Writes what esbuild has made: modules as CommonJS, all else as it is. */
const asCommonJs = {
  name: 'as-common-js',
  setup({ onEnd }) {
    onEnd(async ({ outputFiles, errors }) => {
      if (errors.length > 0) return;
      await mkdir('dist', { recursive: true });
      await writeFile('dist/package.json', '{"type":"commonjs"}\n');
      for (const { path, text, contents } of outputFiles) {
        await mkdir(dirname(path), { recursive: true });
        await writeFile(path, path.endsWith('.js') ? await commonJs(text) : contents);
      }
    });
  },
};

async function commonJs(module) {
  const { code } = await transform(module.replace(importedByPath, '__import('), {
    format: 'cjs',
    platform: 'node',
    target: TARGET,
    supported: { 'dynamic-import': false },
    define: { 'import.meta.url': '__url' },
    minifySyntax: true,
    minifyWhitespace: true,
  });
  const helpers = Object.entries(HELP).map(([name, words]) => (code.includes(name) ? words : ''));
  return `"use strict";${helpers.join('')}${code}`;
}

/** Commands that read and need no server: their code is compiled, and most of what any other loads. More of them would not fit the package (test/cli/package.live.test.ts). */
const trained = [['status'], ['health'], ['backup', 'list']];

/** A start runs these: first of a new instance, then of one that is there. Where no server can run here it fails, and what it came to is kept. */
const started = ['entrypoint', '--quiet', '--', 'true'];

/** Of its own, so that nothing of the machine's is read or run: its configuration, its services, its scripts. */
const configuration = (none) =>
  JSON.stringify({ servicesDir: none, monitor: { enabled: false }, postgresql: { initScriptsDir: none, listenAddresses: '' } });

/** Runs them on an empty folder and keeps what V8 has compiled. */
async function cacheCode() {
  const outer = await mkdtemp(join(tmpdir(), 'dbkit-build-'));
  const home = join(outer, randomBytes(6).toString('hex')); // Root's dbkit works there as the server's user; nobody else can list it.
  await mkdir(home);
  if (process.getuid?.() === 0) for (const folder of [outer, home]) await chmod(folder, 0o711);
  await writeFile(join(home, 'dbkit.yaml'), configuration(join(home, 'none')));
  const script = `import { writeFileSync } from 'node:fs';
    import { openProgram } from ${JSON.stringify(new URL('bin/program.js', import.meta.url).href)};
    const { main, codeCache } = openProgram();
    for (const argv of ${JSON.stringify([...trained, started, started])}) if ((await main(argv)) > 128) break;
    writeFileSync(3, codeCache());
    process.exit();`;
  const folders = {
    PGDATA: 'data',
    DBKIT_STATE_DIR: 'state',
    BACKUP_DIR: 'backups',
    LOG_DIR: 'logs',
    PGHOST: 'socket',
    DBKIT_CONFIG: 'dbkit.yaml',
  };
  const places = Object.fromEntries(Object.entries(folders).map(([name, folder]) => [name, join(home, folder)]));
  const parts = [];
  let killing;
  try {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
      cwd: home,
      env: {
        PATH: process.env.PATH,
        HOME: home,
        CI: 'true',
        DBKIT_BACKUP_AFTER_START: 'false',
        ...places,
      },
      stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      timeout: PATIENCE_MS, // Told to end, it stops its server.
    });
    killing = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS + 15_000);
    child.stdio[3].on('data', (part) => parts.push(part));
    const [code] = await once(child, 'close');
    if (code !== 0) parts.length = 0;
  } finally {
    clearTimeout(killing);
    await rm(outer, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
  if (parts.length === 0) throw new Error('what was trained did not come to its end');
  await writeFile('dist/code-cache.new', Buffer.concat(parts));
  await rename('dist/code-cache.new', 'dist/code-cache.bin'); // Whole or not at all: V8 does not check what it is given.
}

await rm('dist', { recursive: true, force: true });
const options = {
  entryPoints: {
    main: 'src/main.ts',
    'proof-worker': 'src/inspection/proof-worker.ts',
    'patient-proof-worker': 'src/inspection/patient-proof-worker.ts',
    'copy-worker': 'src/backups/base/copy-worker.ts',
    'reread-worker': 'src/backups/base/reread-worker.ts',
    'page-server': 'src/monitor/page-server.ts',
  },
  outdir: 'dist',
  bundle: true,
  splitting: true,
  mainFields: ['module', 'main'], // Of the SDK of S3 only the modules can be left out that nobody uses.
  format: 'esm',
  platform: 'node',
  target: TARGET,
  write: false,
  chunkNames: 'chunks/[name]-[hash]',
  external: ['pg-native'],
  plugins: [embedZstd, asCommonJs],
  loader: { '.wasm': 'binary' },
  // Its CommonJS files find one another in a way that no bundler can follow.
  alias: { 'jsonc-parser': 'jsonc-parser/lib/esm/main.js' },
  // pg asks `new Response()` whether it runs on Cloudflare, and Node then loads its whole HTTP client: ten megabytes and as many milliseconds.
  define: {
    Response: 'undefined',
    'process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED': '"true"', // Which Node runs dbkit is no news for whoever copies a backup.
  },
  legalComments: 'linked',
  metafile: true,
  minifySyntax: true,
  minifyWhitespace: true, // Fewer bytes to parse at every start; names stay, for stacks that a person can read.
};
if (process.argv.includes('--watch')) {
  await (await context({ ...options, logLevel: 'info' })).watch(); // `npm run dev`: until it is interrupted.
  await new Promise(() => {});
}
const { metafile } = await build(options);
await cacheCode().catch((cause) => console.warn(`each start of dbkit compiles its code, as it could not be cached: ${cause.message}`));

// What is bundled is handed on, and most licenses ask that their words go with it.
const folders = new Set(Object.keys(metafile.inputs).flatMap((path) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path) ?? []));
const notices = await Promise.all(
  [...folders].sort().map(async (folder) => {
    const { name, version, license } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
    const file = (await readdir(folder)).find((entry) => /^licen[cs]e/i.test(entry));
    return `${name} ${version} (${license})\n\n${file ? (await readFile(join(folder, file), 'utf8')).trim() : `License: ${license}`}\n`;
  }),
);
await writeFile('dist/third-party-licenses.txt', notices.join(`\n${'-'.repeat(80)}\n\n`));
