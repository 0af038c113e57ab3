// Builds dist/: JavaScript for Node and for browsers by esbuild, one entry per floor of the house (the package's
// sub-path exports), and declarations by tsc. `--no-types` leaves the declarations out (the tests do).
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build as esbuild } from 'esbuild';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Every `src/<floor>/index.ts` and `src/index.ts`, relative to the root. */
export function entryPoints() {
  const floors = readdirSync(join(root, 'src'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(root, 'src', entry.name, 'index.ts')))
    .map((entry) => `src/${entry.name}/index.ts`);
  return ['src/index.ts', ...floors];
}

/**
 * Packages stay outside the bundle for Node, but two go in. mathjs, because whole it takes over a second to load, and only
 * its units and expressions are used. GPU.js, because as a dependency it would bring 85 MB that nobody loads and a native
 * build of minutes; headless WebGL comes from the package `gl`, where the user has it.
 */
const packagesInside = ['mathjs', 'gpu.js'];

const packagesOutside = {
  name: 'packages-outside',
  setup({ onResolve }) {
    onResolve({ filter: /^[^./]/ }, ({ kind, path, importer }) => {
      if (path === 'gl') return { path, external: true };
      const inside = kind === 'entry-point' || packagesInside.includes(path) || /node_modules/.test(importer);
      return inside ? undefined : { path, external: true };
    });
  },
};

const common = {
  absWorkingDir: root,
  outbase: 'src',
  bundle: true,
  format: 'esm',
  target: 'es2022',
  splitting: true,
  sourcemap: true,
  metafile: true,
  logLevel: 'warning',
};

/** The licences of the packages that went into the bundles, one after another. */
function licencesOf(results) {
  const folders = results.flatMap(({ metafile }) =>
    Object.keys(metafile.inputs).map((path) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]),
  );
  return [...new Set(folders.filter(Boolean))].sort().map((folder) => {
    const name = readdirSync(join(root, folder)).find((file) => /^licen[cs]e/i.test(file));
    const { license } = JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
    const text = name ? readFileSync(join(root, folder, name), 'utf8').trim() : `Licence: ${license}`;
    return `${folder.slice('node_modules/'.length)}\n\n${text}\n`;
  });
}

export async function build({ types = true } = {}) {
  for (const folder of ['node', 'browser']) rmSync(join(root, 'dist', folder), { recursive: true, force: true });
  const results = await Promise.all([
    esbuild({
      ...common,
      entryPoints: entryPoints(),
      outdir: 'dist/node',
      platform: 'node',
      plugins: [packagesOutside],
      // GPU.js asks for `gl`, for worker threads and for the number of processors by `require`, which a module has not.
      banner: {
        js: "import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);",
      },
    }),
    esbuild({
      ...common,
      entryPoints: entryPoints().filter((entry) => !entry.includes('/cli/')),
      outdir: 'dist/browser',
      platform: 'browser',
      // Node's own modules and native packages are only reached through dynamic imports that a browser never takes.
      external: ['node:*', '@resvg/resvg-js', 'webgpu', 'gl'],
    }),
  ]);
  writeFileSync(join(root, 'dist', 'LICENSES.txt'), licencesOf(results).join(`\n${'-'.repeat(80)}\n\n`));
  if (types) {
    rmSync(join(root, 'dist', 'types'), { recursive: true, force: true });
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
    execFileSync(process.execPath, [tsc, '-p', 'tsconfig.types.json'], { cwd: root, stdio: 'inherit' });
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await build({ types: !process.argv.includes('--no-types') });
}
