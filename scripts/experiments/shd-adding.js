// Accuracy on spoken digits by model, bin size and size of the memory: SHD and SHD-Adding on spikes of spoken digits, each
// cell of the table a training run of its own, several at a time in processes of one thread each.
//
//   node scripts/build.js --no-types
//   node scripts/experiments/shd-adding.js --data SHARDS --out FOLDER --workers 2 --limit-minutes 60
//   node scripts/experiments/shd-adding.js --out FOLDER --table        only the table of what is there
//   npx esbuild scripts/experiments/shd-adding.js --bundle --platform=node --format=esm --outfile=digits.mjs --external:webgpu --external:gl \
//     --banner:js="import{createRequire as makeRequire}from'node:module';const require=makeRequire(import.meta.url);"
//
// The bundle needs nothing but Node and the spikes. Cells are taken in the order of their worth. What is finished stands in
// FOLDER/results.json and FOLDER/table.md; what is not keeps its checkpoint in FOLDER/runs and goes on when the same command
// is given again, on this machine or on one of the same SIMD variant. Stops by itself at the limit.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fitDigits } from '../../dist/node/train/index.js';

const { values: flags } = parseArgs({
  options: {
    data: { type: 'string' },
    out: { type: 'string' },
    workers: { type: 'string', default: String(availableParallelism()) },
    steps: { type: 'string', default: '6000' },
    'limit-minutes': { type: 'string', default: '600' },
    backend: { type: 'string', default: 'wasm' },
    only: { type: 'string', default: '' },
    table: { type: 'boolean', default: false },
    cell: { type: 'string' },
  },
});
const steps = Number(flags.steps);
const testSpeakers = ['theo', 'yweweler'];
const models = ['elm', 'branch-elm', 'lstm'];
/** Timescales of both ELMs at first, in ms: the longest is that of the authors' notebook; the paper's 150 is a variant. */
const tauMaxMs = 500;

/** Every cell, those worth most first. */
function allCells() {
  const cells = [];
  const add = (cell) => cells.push({ id: Object.values(cell).join('_'), ...cell });
  const of = (task, split, seeds, bins = [2, 10, 50]) => {
    for (const seed of seeds)
      for (const binMs of bins) for (const model of models) add({ task, split, model, binMs, seed });
  };
  of('shd-adding', 'holdout', [0]);
  of('shd-adding', 'holdout', [1, 2]);
  of('shd', 'holdout', [0, 1, 2]);
  of('shd-adding', 'speakers', [0]);
  of('shd', 'speakers', [0]);
  for (const memory of [5, 10, 20, 50, 150]) {
    add({ task: 'shd-adding', split: 'holdout', model: 'elm', binMs: 10, seed: 0, memory });
  }
  for (const binMs of [2, 10, 50]) {
    add({ task: 'shd-adding', split: 'holdout', model: 'elm', binMs, seed: 0, variant: 'tau150' });
  }
  of('shd-adding', 'speakers', [1, 2]);
  of('shd', 'speakers', [1, 2]);
  const words = flags.only.split(',').filter((word) => word !== '');
  return cells.filter(({ id }) => words.length === 0 || words.some((word) => id.includes(word)));
}

/** One cell, in a process of its own: trains, scores, and writes what came of it. */
async function runCell(cell) {
  const controller = new AbortController();
  process.on('SIGTERM', () => controller.abort());
  const { id, task, split, model, binMs, seed, memory, variant } = cell;
  const out = join(flags.out, 'runs', id);
  const resume = existsSync(join(out, 'config.json'));
  const { summary, selectedStep } = await fitDigits({
    data: flags.data,
    task,
    model,
    memory,
    elm: model === 'lstm' ? undefined : { tauMaxMs: variant === 'tau150' ? 150 : tauMaxMs },
    binMs,
    seed,
    steps,
    validEvery: Math.ceil(steps / 6),
    testSpeakers: split === 'speakers' ? testSpeakers : undefined,
    backend: flags.backend,
    threads: 1,
    out,
    resume,
    signal: controller.signal,
  });
  const { parameters, seconds, backend, simd, valid, test } = summary;
  const result = { ...cell, steps, parameters, seconds, backend, simd, selectedStep, valid, test };
  writeFileSync(join(flags.out, 'results', `${id}.json.partial`), JSON.stringify(result));
  renameSync(join(flags.out, 'results', `${id}.json.partial`), join(flags.out, 'results', `${id}.json`));
  rmSync(out, { recursive: true });
}

const resultFile = (id) => join(flags.out, 'results', `${id}.json`);
const finished = (cells) => cells.filter(({ id }) => existsSync(resultFile(id)));

function writeTables(cells, failures = []) {
  const results = finished(cells).map(({ id }) => JSON.parse(readFileSync(resultFile(id), 'utf8')));
  writeFileSync(join(flags.out, 'results.json'), `${JSON.stringify(results, null, 1)}\n`);
  const failed = failures.map(({ id, why }) => `- ${id}: ${why}`);
  const text = tables(results) + (failed.length > 0 ? `\nFailed:\n\n${failed.join('\n')}\n` : '');
  writeFileSync(join(flags.out, 'table.md'), text);
  return text;
}

/** Mean ± spread over seeds, in percent, and how many seeds. */
function percent(results) {
  if (results.length === 0) return '–';
  const values = results.map(({ test }) => 100 * test.accuracy);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  if (values.length === 1) return `${mean.toFixed(1)} (1)`;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return `${mean.toFixed(1)} ± ${Math.sqrt(variance).toFixed(1)} (${values.length})`;
}

function tables(results) {
  const lines = ['Test accuracy in percent, mean ± standard deviation over seeds (how many).', ''];
  lines.push('| task | test | model | parameters | 2 ms | 10 ms | 50 ms |', '|---|---|---|---|---|---|---|');
  const plain = results.filter(({ memory, variant }) => memory === undefined && variant === undefined);
  for (const task of ['shd', 'shd-adding']) {
    for (const split of ['holdout', 'speakers']) {
      for (const model of models) {
        const row = plain.filter((one) => one.task === task && one.split === split && one.model === model);
        if (row.length === 0) continue;
        const cells = [2, 10, 50].map((binMs) => percent(row.filter((one) => one.binMs === binMs)));
        const what = split === 'holdout' ? 'recordings held out' : `speakers ${testSpeakers.join(', ')} held out`;
        lines.push(`| ${task} | ${what} | ${model} | ${row[0].parameters} | ${cells.join(' | ')} |`);
      }
    }
  }
  const sized = results.filter(
    (one) =>
      one.variant === undefined &&
      one.task === 'shd-adding' &&
      one.split === 'holdout' &&
      one.model === 'elm' &&
      one.binMs === 10,
  );
  const sizes = [...new Set(sized.map(({ memory }) => memory ?? 100))].sort((a, b) => a - b);
  if (sizes.length > 1) {
    lines.push('', 'SHD-Adding at 10 ms, recordings held out, ELM:', '');
    lines.push(`| d_m | ${sizes.join(' | ')} |`, `|---|${'---|'.repeat(sizes.length)}`);
    const of = (size) => percent(sized.filter(({ memory }) => (memory ?? 100) === size));
    lines.push(`| accuracy | ${sizes.map(of).join(' | ')} |`);
  }
  const short = results.filter(({ variant }) => variant === 'tau150');
  if (short.length > 0) {
    lines.push('', 'The same with initial timescales up to 150 ms, as in the paper, instead of 500 ms:', '');
    lines.push(`| ${short.map(({ binMs }) => `${binMs} ms`).join(' | ')} |`, `|${'---|'.repeat(short.length)}`);
    lines.push(`| ${short.map((one) => percent([one])).join(' | ')} |`);
  }
  return `${lines.join('\n')}\n`;
}

/** Leaves one checkpoint of every run that has come a third of its way, and nothing of the others. */
function prune() {
  for (const id of readdirSync(join(flags.out, 'runs'))) {
    const folder = join(flags.out, 'runs', id);
    const kept = existsSync(join(folder, 'checkpoints')) ? readdirSync(join(folder, 'checkpoints')).sort() : [];
    const newest = kept.at(-1);
    if (!newest || Number(/\d+/.exec(newest)[0]) < steps / 3) rmSync(folder, { recursive: true });
    else for (const name of kept.slice(0, -1)) rmSync(join(folder, 'checkpoints', name));
  }
}

async function runAll() {
  for (const folder of ['results', 'runs']) mkdirSync(join(flags.out, folder), { recursive: true });
  const cells = allCells();
  const deadline = Date.now() + Number(flags['limit-minutes']) * 60_000;
  const waiting = cells.filter(({ id }) => !existsSync(resultFile(id)));
  const running = new Set();
  const failures = [];
  /** seconds that a cell like this took: one that would not be done in time is not begun */
  const took = new Map();
  const kindOf = ({ task, model, binMs }) => `${task} ${model} ${binMs}`;
  const fits = (cell) => Date.now() + 1000 * (took.get(kindOf(cell)) ?? 0) < deadline - 20_000;
  let stopping = false;
  const say = (text) => process.stderr.write(`${((Date.now() - started) / 1000).toFixed(0).padStart(5)} s  ${text}\n`);
  const started = Date.now();
  say(`${cells.length} cells, ${waiting.length} to do, ${flags.workers} at a time`);
  const stop = (why) => {
    if (stopping) return;
    stopping = true;
    say(`${why}: ${running.size} cells keep their checkpoints`);
    for (const child of running) child.kill('SIGTERM');
  };
  // Writing checkpoints and files takes a moment.
  const timer = setTimeout(() => stop('time is up'), Math.max(0, deadline - Date.now() - 20_000));
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => stop(signal));
  const one = async () => {
    while (!stopping && waiting.some(fits)) {
      const [cell] = waiting.splice(waiting.findIndex(fits), 1);
      const begun = Date.now();
      const again = [
        '--cell',
        JSON.stringify(cell),
        '--data',
        flags.data,
        '--out',
        flags.out,
        '--steps',
        flags.steps,
        '--backend',
        flags.backend,
      ];
      await new Promise((resolve) => {
        const child = spawn(process.execPath, [fileURLToPath(import.meta.url), ...again], {
          stdio: ['ignore', 'ignore', 'pipe'],
        });
        running.add(child);
        let complaint = '';
        child.stderr.on('data', (text) => {
          complaint += text;
        });
        child.on('close', (code) => {
          running.delete(child);
          if (code === 0) {
            const { test, seconds } = JSON.parse(readFileSync(resultFile(cell.id), 'utf8'));
            took.set(kindOf(cell), (Date.now() - begun) / 1000);
            say(`${cell.id}: ${(100 * test.accuracy).toFixed(1)} % in ${seconds.toFixed(0)} s`);
            writeTables(cells, failures);
          } else if (!stopping) {
            const why = /^\w*Error.*$/m.exec(complaint)?.[0] ?? complaint.trim().slice(0, 300);
            failures.push({ id: cell.id, why });
            say(`${cell.id}: failed. ${why}`);
            writeTables(cells, failures);
          }
          resolve();
        });
      });
    }
  };
  await Promise.all(Array.from({ length: Number(flags.workers) }, one));
  clearTimeout(timer);
  prune();
  process.stdout.write(writeTables(cells, failures));
  say(`${finished(cells).length} of ${cells.length} cells finished`);
}

if (!flags.out || (!flags.data && !flags.table)) {
  process.stderr.write('usage: node shd-adding.js --data <shards> --out <folder> [--workers n] [--limit-minutes n]\n');
  process.exit(2);
}
if (flags.cell) await runCell(JSON.parse(flags.cell));
else if (flags.table) process.stdout.write(writeTables(allCells()));
else await runAll();
