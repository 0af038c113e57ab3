/**
 * The browser build in a real Chromium: docs/examples/backends.html, served with cross-origin isolation, trains a small ELM on
 * every backend that pages have; the numbers are those of Node. `DENDRA_SCREENSHOT` names a file for a picture of the page.
 */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';
import * as dendra from '../../src/index.js';
import { allClose, assert, suite, temporaryFolder } from '../harness.js';
import { serve } from './serve.js';

const test = suite('browser/training');
const root = process.cwd();
const executablePath =
  process.env.DENDRA_CHROMIUM ??
  (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'chromium'))
    .find((path) => existsSync(path));

interface Run {
  name: string;
  losses: number[];
  weights?: number[];
  execution?: dendra.Execution;
  error?: string;
}

if (!executablePath) test.skip('a page trains on every backend', 'no Chromium on this machine');
else {
  test('a page trains on every backend as Node does, and shows it', async () => {
    const { server, url } = await serve(root);
    const browser = await chromium.launch({
      executablePath,
      args: [
        '--no-sandbox',
        '--enable-unsafe-webgpu',
        '--use-webgpu-adapter=swiftshader',
        '--enable-features=Vulkan',
        '--use-gl=angle',
        '--use-angle=swiftshader',
        '--enable-unsafe-swiftshader',
      ],
    });
    try {
      const page = await browser.newPage({ viewport: { width: 1000, height: 760 }, deviceScaleFactor: 1 });
      const wrong: string[] = [];
      page.on('pageerror', (error) => wrong.push(error.message));
      await page.goto(`${url}/docs/examples/backends.html`);
      const results = await page.waitForFunction('window.results', undefined, { timeout: 240_000 });
      const { isolated, runs } = (await results.jsonValue()) as { isolated: boolean; runs: Run[] };
      await page.screenshot({ path: process.env.DENDRA_SCREENSHOT ?? join(temporaryFolder(), 'page.png') });
      assert.equal(wrong, []);
      assert.ok(isolated);
      const curves = await page.locator('#plot .curve').count();
      assert.is(curves, runs.length, 'a curve for every backend');

      const { train } = await import(pathToFileURL(join(root, 'docs', 'examples', 'training.js')).href);
      const inNode: Run = await train(dendra, { name: 'reference' });
      assert.ok((inNode.losses.at(-1) as number) < 0.3 * inNode.losses[0], 'the neuron learns');
      const names = runs.map(({ name }) => name);
      for (const name of ['webgpu', 'wasm']) assert.ok(names.includes(name), `${names} has ${name}`);
      for (const { name, error, losses, weights, execution } of runs) {
        assert.is(error, undefined, name);
        assert.is(execution?.backend, name);
        allClose(losses.slice(0, 10), inNode.losses.slice(0, 10), { relative: 1e-3 }, `first losses of ${name}`);
        const [end, expected] = [losses, inNode.losses].map((all) => all.at(-1) as number);
        assert.ok(Math.abs(end / expected - 1) < 0.01, `${name} ends at ${end}, Node at ${expected}`);
        allClose(weights ?? [], inNode.weights ?? [], { relative: 0.02 }, `read-out of ${name}`);
      }
      const wasm = runs.find(({ name }) => name === 'wasm')?.execution;
      assert.ok((wasm?.threads ?? 0) > 1, 'wasm runs on threads');
    } finally {
      await browser.close();
      server.closeAllConnections();
      server.close();
    }
  });
}

test.run();
