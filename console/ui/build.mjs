// Builds ../dist: two scripts, a style sheet, an icon, the page that names them, and
// the digest of what they were built from, which a Go test compares.
import { build } from 'esbuild';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const out = join(here, '..', 'dist');
rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, 'assets'), { recursive: true });

const result = await build({
  absWorkingDir: here,
  entryPoints: { app: 'src/main.tsx', theme: 'src/theme.ts', style: 'src/style/main.css' },
  bundle: true,
  minify: true,
  format: 'iife',
  target: ['es2022'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  loader: { '.svg': 'file' },
  entryNames: '[name]-[hash]',
  assetNames: '[name]-[hash]',
  outdir: join(out, 'assets'),
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
});

const icon = readFileSync(join(here, 'src/icon.svg'));
const iconName = `icon-${createHash('sha256').update(icon).digest('hex').slice(0, 8).toUpperCase()}.svg`;
writeFileSync(join(out, 'assets', iconName), icon);

const names = Object.keys(result.metafile.outputs).map((name) => basename(name));
const asset = (start, end) => '/assets/' + names.find((name) => name.startsWith(start) && name.endsWith(end));
writeFileSync(join(out, 'index.html'), `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Parley</title>
<link rel="icon" href="/assets/${iconName}" type="image/svg+xml">
<link rel="stylesheet" href="${asset('style-', '.css')}">
<script src="${asset('theme-', '.js')}"></script>
<script src="${asset('app-', '.js')}" defer></script>
</head>
<body>
<div id="app"><noscript><p>The console needs JavaScript. The API does not: see <a href="/v1/openapi.json">/v1/openapi.json</a>.</p></noscript></div>
</body>
</html>
`);

// The digest covers names and contents, in the order of names. The same rule is in
// ../console_test.go.
const sources = ['build.mjs', 'package.json', 'package-lock.json', 'tsconfig.json'];
for (const entry of readdirSync(join(here, 'src'), { recursive: true, withFileTypes: true })) {
  if (entry.isFile()) sources.push(join(entry.parentPath, entry.name).slice(here.length).replaceAll('\\', '/'));
}
const digest = createHash('sha256');
for (const name of sources.sort()) {
  digest.update(`${name}\0`).update(createHash('sha256').update(readFileSync(join(here, name))).digest('hex')).update('\n');
}
writeFileSync(join(out, 'sources.sha256'), digest.digest('hex') + '\n');
