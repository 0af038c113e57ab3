// Makes figures of what mamba-cpu.js or mamba-gpu.js measured with --json: time and memory of a training step (or of a forward pass)
// of one sequence over its length, dendra's and each peer's with the scan that is fastest at that length. Tells how each grows.
//
//   node scripts/bench/mamba-figure.js mamba-cpu.json --name mamba-cpu --on "2 cores of an AMD EPYC" [--kind step] [--out docs/figures]
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { lengthCurves, writeFigures } from '../../dist/node/figures/index.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    name: { type: 'string', default: 'mamba' },
    on: { type: 'string', default: 'this machine' },
    kind: { type: 'string', default: 'step' },
    out: { type: 'string', default: '.' },
  },
});
const read = positionals.flatMap((path) => {
  const found = JSON.parse(readFileSync(path, 'utf8'));
  return found.results ?? found;
});
const rows = read.filter(({ kind, samples }) => kind === values.kind && samples === 1);
const lengths = [...new Set(rows.map(({ length }) => length))].sort((a, b) => a - b);
const contenders = [
  ['dendra', ({ name }) => name === 'dendra'],
  ['JAX, associative_scan', ({ name }) => name === 'jax:whole'],
  ['JAX, in chunks', ({ name }) => /^jax:\d/.test(name)],
  ['PyTorch', ({ name }) => name.startsWith('torch')],
].filter(([, isOne]) => rows.some(isOne));

/** Of each contender the least at each length. */
function curvesOf(field) {
  return contenders.map(([label, isOne]) => {
    const least = lengths.map((length) => {
      const found = rows.filter((row) => row.length === length && isOne(row) && row[field] !== undefined);
      return found.length ? Math.min(...found.map((row) => row[field])) : null;
    });
    return { label, runs: [least] };
  });
}

/** The slope of log(value) over log(length), from 1,024 tokens on. */
function exponent(values_) {
  const points = lengths.flatMap((length, k) =>
    length >= 1024 && values_[k] !== null ? [[Math.log(length), Math.log(values_[k])]] : [],
  );
  const mean = (at) => points.reduce((sum, point) => sum + point[at], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const above = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  return above / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
}

const title = values.kind === 'step' ? 'A training step' : 'A forward pass';
const measures = [
  { field: 'ms', id: 'time', label: 'Time (ms)' },
  { field: 'mebibytes', id: 'memory', label: 'Memory of intermediates (MiB)' },
];
for (const row of rows) if (row.bytes) row.mebibytes = row.bytes / 2 ** 20;
const figures = measures.map(({ field, id, label }) => {
  const methods = curvesOf(field);
  for (const { label: who, runs } of methods) {
    process.stdout.write(`${label}, ${who}: grows as length^${exponent(runs[0]).toFixed(2)} from 1,024 on\n`);
  }
  const svg = lengthCurves({ lengths, methods, label, logarithmic: true, title: `${title} on ${values.on}` });
  return { id: `${values.name}-${id}`, svg };
});
const { pngUnavailable } = await writeFigures(values.out, figures);
if (pngUnavailable) process.stderr.write(`no PNG figures: ${pngUnavailable}\n`);
