// Runs the test suites: builds dist/ (the CLI tests run the real binary), transpiles src/ and test/ file by file into
// .build/ (unbundled, so that coverage is true), then runs every *.test.js in a process of its own, two at a time.
//
//   node scripts/test.js                every suite
//   node scripts/test.js io/npz memory  the suites whose path contains one of the words
//
// Ends with `N passed, N failed` (and `, N skipped`), exit code 1 when anything failed. A file that runs no test fails.
import { spawn } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build as esbuild } from 'esbuild';
import { build } from './build.js';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const words = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const fileTimeoutMs = 10 * 60_000;

function filesUnder(folder, suffix) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(suffix))
    .map((entry) => join(entry.parentPath, entry.name));
}

async function transpile() {
  rmSync(join(root, '.build'), { recursive: true, force: true });
  await esbuild({
    absWorkingDir: root,
    entryPoints: [...filesUnder(join(root, 'src'), '.ts'), ...filesUnder(join(root, 'test'), '.ts')],
    outbase: '.',
    outdir: '.build',
    format: 'esm',
    platform: 'node',
    target: 'es2022',
    sourcemap: true,
    bundle: false,
    logLevel: 'warning',
  });
}

function runFile(file) {
  return new Promise((resolve) => {
    const started = performance.now();
    const child = spawn(process.execPath, ['--enable-source-maps', file], {
      cwd: root,
      env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    const keep = (chunk) => {
      output += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    const timer = setTimeout(() => {
      output += `\ntest file took longer than ${fileTimeoutMs / 1000} s and was killed`;
      child.kill('SIGKILL');
    }, fileTimeoutMs);
    child.on('close', (code) => {
      clearTimeout(timer);
      // A file may hold several suites, but uvu prints one total for the file.
      const total = /Total:\s+(\d+)\s+Passed:\s+(\d+)\s+Skipped:\s+(\d+)/.exec(output);
      const seconds = (performance.now() - started) / 1000;
      if (!total || Number(total[1]) + Number(total[3]) === 0) {
        resolve({
          file,
          output: `${output}\nthis file ran no test (is .run() missing?)`,
          passed: 0,
          failed: 1,
          skipped: 0,
          seconds,
        });
        return;
      }
      const passed = Number(total[2]);
      const failed = Number(total[1]) - passed;
      resolve({ file, output, passed, failed: failed || (code === 0 ? 0 : 1), skipped: Number(total[3]), seconds });
    });
  });
}

await build({ types: false });
await transpile();
const files = filesUnder(join(root, '.build', 'test'), '.test.js')
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
const sum = { passed: 0, failed: 0, skipped: 0 };
const queue = [...files];
const lanes = Math.max(1, Math.min(2, availableParallelism()));
await Promise.all(
  Array.from({ length: lanes }, async () => {
    for (let file = queue.shift(); file; file = queue.shift()) {
      const result = await runFile(file);
      for (const key of ['passed', 'failed', 'skipped']) sum[key] += result[key];
      const name = relative(join(root, '.build', 'test'), file).replace(/\.test\.js$/, '');
      const mark = result.failed ? 'FAIL' : 'ok  ';
      process.stdout.write(
        `${mark} ${name}  ${result.passed}/${result.passed + result.failed}  ${result.seconds.toFixed(1)} s\n`,
      );
      const notes = result.output.split('\n').filter((line) => line.startsWith('skipped: '));
      if (result.failed) process.stdout.write(`${result.output}\n`);
      else for (const note of notes) process.stdout.write(`     ${note}\n`);
    }
  }),
);
if (files.length === 0) {
  process.stdout.write(`no test file matches ${words.join(', ')}\n`);
  sum.failed += 1;
}
const skipped = sum.skipped ? `, ${sum.skipped} skipped` : '';
process.stdout.write(`${sum.passed} passed, ${sum.failed} failed${skipped}\n`);
process.exitCode = sum.failed ? 1 : 0;
