// What carries a small Mamba beyond its training length: trains one from several seeds on a task at length 256 (`dendra train`'s
// settings), chooses each method's setting on held-out sequences of 8 times that length, and tests all of them, the plain model
// too, at up to 256 times (plain and LongMamba; the others to 32 times).
//
//   node scripts/experiments/long-context.js --seeds 0,1,2,3,4 --out long-context.json --figure docs/figures --name long-context
//   node scripts/experiments/long-context.js --version 2 ...        the same with Mamba-2: 16 heads of width 8, 32 states
//   node scripts/experiments/long-context.js --task bytes --data FILE,FILE,... --longest 16384 ...    perplexity on text
//
// Of a text the last tenth is tested on; of the rest the last tenth chooses the parameters and the settings, and what is before
// is trained on. Results are added to --out seed by seed, and a seed that is there already is not run again; the table goes to
// standard output.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { byteText, splitBytes, tokenTasks } from '../../dist/node/data/index.js';
import { lengthCurves, writeFigures } from '../../dist/node/figures/index.js';
import { calibrateLongMamba, deltaScaling, tokenDropping } from '../../dist/node/mamba/index.js';
import { evaluateTokens, fitTokens, runnerPredictor, tokenTraining } from '../../dist/node/train/index.js';

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '0,1,2,3,4' },
    task: { type: 'string', default: 'induction' },
    data: { type: 'string' },
    version: { type: 'string', default: '1' },
    steps: { type: 'string' },
    longest: { type: 'string', default: '65536' },
    threads: { type: 'string', default: '2' },
    out: { type: 'string', default: 'long-context.json' },
    figure: { type: 'string' },
    name: { type: 'string', default: 'long-context' },
  },
});

const L = 256;
const tunedAt = 8 * L;
const comparedTo = 32 * L;
const lengths = Array.from({ length: 11 }, (_, k) => 2 ** (6 + k)).filter((one) => one <= Number(flags.longest));
const onText = flags.task === 'bytes';
const { text, source, tuning } = onText ? textSources() : taskSources();
const version = Number(flags.version);
const training = {
  task: flags.task,
  data: text,
  length: L,
  steps: flags.steps && Number(flags.steps),
  model: version === 2 ? { version, headWidth: 8, stateSize: 32 } : { version },
};
const machine = { backend: 'wasm', threads: Number(flags.threads) };

function taskSources() {
  const made = tokenTasks[flags.task](tokenTraining[flags.task].options ?? {});
  return { text: undefined, source: made, tuning: made };
}

/** Where nothing is trained on, purposes other than `train` take their windows from `valid`. */
function textSources() {
  const whole = Buffer.concat(flags.data.split(',').map((path) => readFileSync(path)));
  const { train: seen, valid: unseen } = splitBytes(new Uint8Array(whole));
  return { text: seen, source: byteText({ train: seen, valid: unseen }), tuning: byteText(splitBytes(seen)) };
}

/** Sequences of a length in the test: on text as many tokens at every length. */
const samplesAt = (length) => (onText ? Math.max(4, 2 ** 17 / length) : length > comparedTo ? 16 : 64);

/** Five windows of training length, as in the paper; made as test sequences are, but from another stream. */
const windows = (seed) =>
  Array.from({ length: 5 }, (_, step) => {
    const { shape, ids } = tuning.batch({ seed, purpose: 'calibrate', step, samples: 1, length: L });
    return { shape, data: ids };
  });

/** For each method the settings to choose from, and how the extension is made. */
const methods = {
  longmamba: {
    label: 'LongMamba',
    settings: [0, 0.05, 0.2].flatMap((clamp) => [0.25, 0.5, 0.75, 1].map((globalShare) => ({ clamp, globalShare }))),
    make: (model, seed, setting) =>
      calibrateLongMamba(model, windows(seed), { trainingLength: L, from: L + 1, ...setting }, machine),
  },
  scaling: {
    label: 'Δ scaling',
    settings: [0.25, 0.5, 0.75, 1].map((power) => ({ power })),
    make: (model, _seed, setting) => deltaScaling(model.config, { trainingLength: L, ...setting }),
  },
  dropping: {
    label: 'token dropping',
    settings: [[0], [1]].flatMap((layers) => [L, 2 * L].map((keep) => ({ layers, keep }))),
    make: (model, _seed, setting) => tokenDropping(model.config, { trainingLength: L, ...setting }),
  },
};

/** Opens a model for as long as `use` takes: every open one holds memory of its own. */
async function opened(model, use) {
  const runner = await model.open(machine);
  try {
    return await use((seed, purpose, length, samples) =>
      evaluateTokens(purpose === 'tune' ? tuning : source, runnerPredictor(runner), {
        seed,
        purpose,
        length,
        samples,
        batch: Math.min(8, samples),
      }),
    );
  } finally {
    runner.dispose();
  }
}

async function choose(model, seed, { settings, make }) {
  let best;
  for (const setting of settings) {
    const extended = model.withExtension(await make(model, seed, setting));
    const { loss, accuracy } = await opened(extended, (score) => score(seed, 'tune', tunedAt, 32));
    if (!best || loss < best.loss) best = { setting, loss, accuracy, extended };
  }
  return best;
}

async function runSeed(seed) {
  const { model, summary } = await fitTokens({ ...training, seed, testLengths: [], ...machine });
  const { seconds, valid } = summary;
  process.stderr.write(
    `seed ${seed}: trained in ${seconds.toFixed(0)} s, valid accuracy ${valid.accuracy}, loss ${valid.loss}\n`,
  );
  const variants = { plain: { extended: model } };
  for (const [name, method] of Object.entries(methods)) {
    variants[name] = await choose(model, seed, method);
    process.stderr.write(`seed ${seed}: ${name} ${JSON.stringify(variants[name].setting)}\n`);
  }
  const results = {};
  for (const [name, { setting, extended }] of Object.entries(variants)) {
    const tested = name === 'plain' || name === 'longmamba' ? lengths : lengths.filter((one) => one <= comparedTo);
    const rows = await opened(extended, async (score) => {
      const all = [];
      for (const length of tested) all.push({ length, ...(await score(seed, 'test', length, samplesAt(length))) });
      return all;
    });
    results[name] = { setting, rows };
    process.stderr.write(`seed ${seed}: ${name} ${rows.map((row) => `${row.length}:${measureOf(row)}`).join(' ')}\n`);
  }
  return { seed, seconds, valid, results };
}

/** Perplexity of a byte, or the share of right answers. */
function measureOf({ accuracy, loss }) {
  return onText ? Math.exp(loss) : accuracy;
}

const done = existsSync(flags.out) ? JSON.parse(readFileSync(flags.out, 'utf8')) : [];
for (const seed of flags.seeds.split(',').map(Number)) {
  if (done.some((one) => one.seed === seed)) continue;
  done.push(await runSeed(seed));
  writeFileSync(`${flags.out}.part`, JSON.stringify(done, null, 1));
  renameSync(`${flags.out}.part`, flags.out);
}

const labels = {
  plain: 'plain',
  ...Object.fromEntries(Object.entries(methods).map(([name, { label }]) => [name, label])),
};
const curve = (run, name) =>
  lengths.map((length) => {
    const row = run.results[name].rows.find((one) => one.length === length);
    return row ? measureOf(row) : null;
  });
const curves = Object.entries(labels).map(([name, label]) => ({ label, runs: done.map((run) => curve(run, name)) }));
const cell = (values) => {
  const known = values.filter((value) => value !== null).sort((a, b) => a - b);
  if (known.length === 0) return '–';
  const shown = (value) => (onText ? value.toFixed(3) : (100 * value).toFixed(0));
  const median = (known[Math.floor((known.length - 1) / 2)] + known[Math.ceil((known.length - 1) / 2)]) / 2;
  return `${shown(median)} (${shown(known[0])}–${shown(known.at(-1))})`;
};
process.stdout.write(
  `| length | ${curves.map(({ label }) => label).join(' | ')} |\n|${'---|'.repeat(curves.length + 1)}\n`,
);
lengths.forEach((length, k) => {
  process.stdout.write(`| ${length} | ${curves.map(({ runs }) => cell(runs.map((run) => run[k]))).join(' | ')} |\n`);
});
if (flags.figure) {
  const titles = { induction: 'Induction heads', bytes: 'Text' };
  const svg = lengthCurves({
    lengths,
    methods: curves,
    label: onText ? 'Perplexity of a byte' : 'Accuracy',
    domain: onText ? undefined : [0, 1],
    trainingLength: L,
    title: `${titles[flags.task] ?? flags.task} beyond the training length, Mamba-${version}, ${done.length} seeds`,
  });
  await writeFigures(flags.figure, [{ id: flags.name, svg }]);
}
