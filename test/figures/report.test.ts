import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DendraError } from '../../src/base/errors.js';
import { embedFont, type Report, renderPng, renderReport, runFigures, writeFigures } from '../../src/figures/index.js';
import { memoryFolder } from '../../src/train/storage.js';
import { assert, suite, temporaryFolder, throws } from '../harness.js';
import { ordinary } from './cases.js';
import { decodePng, differing, wellFormed } from './help.js';

const test = suite('figures/report');
const svg = ordinary.find(({ name }) => name === 'rocCurve')!.draw();

const report: Report = {
  title: 'A <fit> & more',
  summary: 'First paragraph.\n\nSecond, with a </style><script>alert(1)</script>.',
  metrics: [
    { label: 'AUC', value: 0.98765, key: true, comparison: 0.9887 },
    { label: 'RMSE', value: Number.NaN, unit: 'mV', note: 'root mean square' },
    { label: 'Simulations', value: 16 },
  ],
  comparisonLabel: 'Published',
  figures: [{ id: 'roc', title: 'Spike prediction', caption: 'How to read it.', svg }],
  config: { model: { memory: 20, tauMs: [1, 150], empty: [] }, layers: [{ size: 4 }], seed: 0, nothing: null },
  record: { node: 'v20', long: Array.from({ length: 100 }, (_, i) => i) },
};

for (const { name, draw } of ordinary) {
  test(`${name} as PNG: twice the size, not blank, with its text`, async () => {
    const figure = draw();
    const png = await renderPng(figure);
    const pixels = decodePng(png);
    const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(figure)!;
    assert.equal([pixels.width, pixels.height], [2 * Number(width), 2 * Number(height)]);
    assert.ok(
      pixels.rgba.every((byte, i) => i % 4 !== 3 || byte === 255),
      'opaque',
    );
    const blank = decodePng(
      await renderPng(
        figure.replace(/<(path|text|rect|circle)\s(?!width)[^>]*>/g, (tag) =>
          tag.replace('>', ' opacity="0">').replace('/ opacity="0">', ' opacity="0"/>'),
        ),
      ),
    );
    assert.ok(differing(pixels, blank) > 0.005 * pixels.width * pixels.height, 'something is drawn');
    // Each text alone must leave ink: a font that lacks a character or isn't found would leave none.
    const wordless = decodePng(await renderPng(figure.replace(/<text[^>]*>[^<]*<\/text>/g, '')));
    const characters = figure
      .match(/<text[^>]*>[^<]*/g)!
      .join('')
      .replace(/<text[^>]*>|\s/g, '').length;
    assert.ok(differing(pixels, wordless) > 20 * characters, 'its text is drawn');
  });
}

test('the font has every sign that figures use, and two weights', async () => {
  const line = (text: string, weight = 400) =>
    renderPng(
      `<svg xmlns="http://www.w3.org/2000/svg" width="60" height="30" font-family="Inter" font-size="20" font-weight="${weight}"><rect width="60" height="30" fill="#fff"/><text x="5" y="22">${text}</text></svg>`,
    );
  const missing = decodePng(await line('\u4e00'));
  for (const sign of [...'τκλµμ±·×→−≥≤₀₁₉⁻⁵Σ–…∞']) {
    const pixels = decodePng(await line(sign));
    assert.ok(differing(pixels, missing) > 10, `the font lacks ${sign}`);
  }
  assert.ok(differing(decodePng(await line('mV')), decodePng(await line('mV', 600))) > 40);
});

test('the report is complete, safe and self-contained', async () => {
  const html = await renderReport(report);
  assert.is(html, await renderReport(report), 'same input, same bytes');
  assert.match(html, /^<!doctype html>\n<html lang="en">/);
  assert.match(html, /<title>A &lt;fit&gt; &amp; more<\/title>/);
  assert.match(html, /<p>First paragraph\.<\/p>\n<p>Second, with a &lt;\/style&gt;&lt;script&gt;/);
  assert.not.match(html, /<script|<link|<img|src="|https?:\/\/(?!www\.w3\.org\/2000\/svg)/);
  assert.match(html, /default-src 'none'/);
  assert.is(html.match(/@font-face/g)!.length, 2);
  assert.ok(html.includes(svg));
  assert.match(html, /prefers-color-scheme:dark/);
  assert.match(html, /@media print/);
  assert.match(html, /<dt>AUC<\/dt><dd>0\.9877<\/dd><dd class="compared">Published: 0\.9887/);
  assert.match(html, /<th scope="row">RMSE <span class="unit">\(mV\)<\/span><\/th><td class="number">–<\/td>/);
  assert.match(html, /<td class="number">16<\/td>/);
  assert.match(html, /<th scope="row">model\.tauMs<\/th><td>1, 150<\/td>/);
  assert.match(html, /<th scope="row">layers\.0\.size<\/th><td>4<\/td>/);
  assert.match(html, /0, 1, 2.*… \(100 values\)/);
  const headings = [...html.matchAll(/<h([1-6])>/g)].map((match) => Number(match[1]));
  assert.equal(headings, [1, 2, 2, 2, 2]);
  for (const [, target] of html.matchAll(/href="#([^"]+)"/g)) assert.ok(html.includes(` id="${target}"`), target);
  assert.ok(html.indexOf('0.9877') < html.indexOf('<svg '), 'key numbers before figures');
});

test('a report of nothing still reads', async () => {
  const html = await renderReport({ title: '', summary: '', metrics: [], figures: [], config: undefined, record: {} });
  assert.match(html, /None were computed/);
  assert.is(html.match(/Nothing is recorded/g)!.length, 2);
});

test('a configuration that refers to itself ends', async () => {
  const config: Record<string, unknown> = { a: 1 };
  config.self = config;
  assert.match(await renderReport({ ...report, config }), /self\.self\.self.*…/);
});

test('runFigures leaves out what a run has not', () => {
  assert.equal(runFigures({}), []);
  const made = runFigures({
    timescales: { tauMs: [1, 10] },
    roc: { falsePositiveRate: [0, 1], truePositiveRate: [0, 1] },
  });
  assert.equal(
    made.map(({ id }) => id),
    ['roc', 'timescales'],
  );
  assert.ok(made.every(({ title, caption, svg }) => title && caption && svg.startsWith('<svg ')));
});

test('an SVG file carries its font', async () => {
  const file = await embedFont(svg);
  const names = wellFormed(file.replace(/<style>[^<]*<\/style>/, '<style></style>'));
  assert.ok(names.includes('style'));
  const [, base64] = /url\(data:font\/woff2;base64,([^)]+)\)/.exec(file)!;
  assert.is(Buffer.from(base64, 'base64').toString('latin1', 0, 4), 'wOF2');
});

test('figures are written as SVG and PNG side by side', async () => {
  const folder = join(temporaryFolder(), 'run', 'figures');
  const written = await writeFigures(folder, [{ id: 'roc', svg }]);
  assert.equal(written, { files: ['roc.svg', 'roc.png'] });
  assert.equal(readdirSync(folder).sort(), ['roc.png', 'roc.svg']);
  assert.is(readFileSync(join(folder, 'roc.svg'), 'utf8'), await embedFont(svg));
  assert.equal(new Uint8Array(readFileSync(join(folder, 'roc.png'))), new Uint8Array(await renderPng(svg)));
  const memory = memoryFolder();
  await writeFigures(memory, [{ id: 'roc', svg }]);
  assert.equal(await memory.list(), ['roc.png', 'roc.svg']);
});

test('ids that are no file names are refused before anything is written', async () => {
  const folder = temporaryFolder();
  for (const id of ['../roc', 'Roc', '', 'a/b', 'configuration']) {
    await throws(
      () =>
        writeFigures(folder, [
          { id: 'good', svg },
          { id, svg },
        ]),
      /figures\[1\]\.id/,
    );
  }
  await throws(
    () =>
      writeFigures(folder, [
        { id: 'roc', svg },
        { id: 'roc', svg },
      ]),
    /used once/,
  );
  await throws(() => renderReport({ ...report, figures: [{ ...report.figures[0], svg: '<script>' }] }), /to be SVG/);
  assert.equal(readdirSync(folder), []);
});

test('a PNG that can not be put in place leaves nothing half-written', async () => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, 'roc.png'));
  try {
    await writeFigures(folder, [{ id: 'roc', svg }]);
    assert.unreachable('a folder was overwritten');
  } catch (error) {
    assert.not(error instanceof DendraError && error.code === 'unavailable');
  }
  assert.ok(existsSync(join(folder, 'roc.svg')));
});

test.run();
