/**
 * The wasm backend in a real browser: a page, with and without cross-origin isolation, trains a small neuron; the numbers
 * are those of Node. Needs a Chromium (`DENDRA_CHROMIUM`, or `chromium` on the path).
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { delimiter, dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { prepareElmBench } from '../../src/train/index.js';
import { allClose, assert, suite, temporaryFolder } from '../harness.js';

const test = suite('browser/wasm');
const dist = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..', 'dist', 'browser');
const chromium =
  process.env.DENDRA_CHROMIUM ??
  (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'chromium'))
    .find((path) => existsSync(path));

interface Report {
  execution?: { backend: string; threads: number; simd: string; detail?: string };
  parameters?: number[];
  error?: string;
}

const options = { memory: 4, batch: 6, windowMs: 40, elm: { branches: 45, synapsesPerBranch: 100 } };

/** What the page runs: three training steps, then a parameter. */
const page = `<!doctype html><title>dendra</title><script type="module">
try {
  const { prepareElmBench } = await import('/train/index.js');
  const bench = await prepareElmBench({ ...${JSON.stringify(options)}, backend: 'wasm', threads: 2, simd: 'plain' });
  for (let k = 0; k < 3; k++) await bench.trainOnce();
  const parameters = [...await bench.read('w_y.weight')];
  await fetch('/report', { method: 'POST', body: JSON.stringify({ execution: bench.execution, parameters }) });
} catch (error) {
  await fetch('/report', { method: 'POST', body: JSON.stringify({ error: String(error?.stack ?? error) }) });
}
</script>`;

async function inBrowser(isolated: boolean): Promise<Report> {
  let resolve: (report: Report) => void = () => {};
  let reject: (error: Error) => void = () => {};
  const report = new Promise<Report>((done, failed) => {
    resolve = done;
    reject = failed;
  });
  let finish: (settle: () => void) => void = () => {};
  const server = createServer((request, response) => {
    const isolation = isolated
      ? { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }
      : {};
    if (request.url === '/report') {
      let body = '';
      request.on('data', (chunk) => {
        body += chunk;
      });
      request.on('end', () => {
        response.end();
        finish(() => resolve(JSON.parse(body)));
      });
      return;
    }
    if (request.url === '/') {
      response.writeHead(200, { 'Content-Type': 'text/html', ...isolation }).end(page);
      return;
    }
    const file = join(dist, normalize(request.url ?? ''));
    if (!file.startsWith(dist) || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { 'Content-Type': 'text/javascript', ...isolation }).end(readFileSync(file));
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const browser = spawn(
    chromium as string,
    [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      `--user-data-dir=${temporaryFolder()}`,
      `http://127.0.0.1:${port}/`,
    ],
    // A group of its own: the program may be a script that starts the browser.
    { stdio: 'ignore', detached: true },
  );
  const timer = setTimeout(() => finish(() => reject(new Error('the page did not report within 60 s'))), 60_000);
  finish = (settle) => {
    clearTimeout(timer);
    browser.once('exit', settle);
    process.kill(-(browser.pid as number), 'SIGKILL');
    server.closeAllConnections();
    server.close();
  };
  return report;
}

if (!chromium) test.skip('training in a page', 'no Chromium on this machine');
else {
  for (const isolated of [true, false]) {
    test(`a page ${isolated ? 'with' : 'without'} cross-origin isolation trains as Node does`, async () => {
      const report = await inBrowser(isolated);
      assert.is(report.error, undefined);
      assert.is(report.execution?.threads, isolated ? 2 : 1);
      if (!isolated) assert.match(report.execution?.detail ?? '', /not cross-origin isolated/);
      const bench = await prepareElmBench({ ...options, backend: 'wasm', simd: 'plain', threads: 1 });
      for (let k = 0; k < 3; k++) await bench.trainOnce();
      allClose(report.parameters ?? [], await bench.read('w_y.weight'), { absolute: 0 }, 'w_y');
      bench.dispose();
    });
  }
}

test.run();
