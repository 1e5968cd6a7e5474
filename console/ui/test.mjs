// Runs test/*.test.ts: bundled for Node, then handed to its test runner.
import { build } from 'esbuild';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const out = mkdtempSync(join(tmpdir(), 'parley-console-'));
try {
  await build({
    absWorkingDir: here, entryPoints: readdirSync(join(here, 'test')).map((name) => join('test', name)),
    bundle: true, platform: 'node', format: 'esm', outdir: out, outExtension: { '.js': '.mjs' }, logLevel: 'warning',
    // What modules ask the browser for when they are loaded.
    banner: { js: `globalThis.location = { origin: 'http://127.0.0.1:7399' }; globalThis.localStorage = globalThis.sessionStorage = { getItem: () => null };` },
  });
  process.exitCode = spawnSync(process.execPath, ['--test', ...readdirSync(out).map((name) => join(out, name))], { stdio: 'inherit' }).status ?? 1;
} finally {
  rmSync(out, { recursive: true });
}
