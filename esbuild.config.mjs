// Builds dist/: one ESM entry plus chunks. Splitting keeps every `await import()` lazy, so `dbkit --version` loads almost nothing.
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build, context } from 'esbuild';

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
  target: 'node20.19',
  chunkNames: 'chunks/[name]-[hash]',
  external: ['pg-native'],
  plugins: [embedZstd],
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
  // Bundled CommonJS (fs-extra, pg) calls require() of Node's own modules.
  banner: { js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);" },
};
if (process.argv.includes('--watch')) {
  await (await context({ ...options, logLevel: 'info' })).watch(); // `npm run dev`: until it is interrupted.
  await new Promise(() => {});
}
const { metafile } = await build(options);

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
