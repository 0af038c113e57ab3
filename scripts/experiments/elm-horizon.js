// LongMamba's idea on the ELM: one of four cues is given at the start, noise follows, a go signal comes at the end, and the cue
// must be told. Neurons are trained at L = 200 ms and tested at up to 32 times that: as they are, with their timescales
// stretched by S/L, and with small updates gated so that global units take L of S steps.
//
//   node scripts/experiments/elm-horizon.js --seeds 0,1,2,3,4
import { parseArgs } from 'node:util';
import { openSession } from '../../dist/node/backends/index.js';
import { eventsFromDense, Stream } from '../../dist/node/base/index.js';
import { ElmNeuron, GatedElm, gateThresholds, stretchElm, traceElm } from '../../dist/node/elm/index.js';
import { apply, compile, input } from '../../dist/node/graph/index.js';
import { slice, softmaxCrossEntropy } from '../../dist/node/ops/index.js';
import { train } from '../../dist/node/train/index.js';

const { values: flags } = parseArgs({
  options: {
    seeds: { type: 'string', default: '0,1,2,3,4' },
    steps: { type: 'string', default: '1500' },
    samples: { type: 'string', default: '64' },
    threads: { type: 'string', default: '1' },
  },
});
const L = 200;
const lengths = [L, 2 * L, 4 * L, 8 * L, 16 * L, 32 * L];
const cues = 4;
const channels = cues + 3;
const machine = { threads: Number(flags.threads) };

/** Sequences of S steps: a cue in steps 5 to 9, noise on two channels, the go signal in the last 5 steps. */
function batch(seed, purpose, step, samples, S) {
  const dense = new Float32Array(samples * S * channels);
  const labels = new Int32Array(samples);
  for (let b = 0; b < samples; b++) {
    const stream = new Stream(seed, `horizon.${purpose}`, step * samples + b);
    labels[b] = stream.integer(cues);
    for (let t = 0; t < S; t++) {
      const row = (b * S + t) * channels;
      if (t >= 5 && t < 10) dense[row + labels[b]] = 1;
      for (const noise of [0, 1]) if (stream.uniform() < 0.2) dense[row + cues + noise] = 1;
      if (t >= S - 5) dense[row + cues + 2] = 1;
    }
  }
  return { x: eventsFromDense(dense, [samples, S, channels]), labels };
}

const lastOf = (output, S) => apply(slice, { x: output }, { axis: 1, start: S - 1, end: S, squeeze: true }).y;

/** Share of the cues told right, and the mean cross-entropy. */
function judge(logits, labels) {
  let right = 0;
  let loss = 0;
  for (let b = 0; b < labels.length; b++) {
    const row = Array.from(logits.subarray(b * cues, (b + 1) * cues));
    const top = Math.max(...row);
    if (row.indexOf(top) === labels[b]) right++;
    loss += Math.log(row.reduce((sum, x) => sum + Math.exp(x - top), 0)) + top - row[labels[b]];
  }
  return { accuracy: right / labels.length, loss: loss / labels.length };
}

async function score(neuron, { x, labels }) {
  const [samples, S] = x.shape;
  const { output } = await neuron.run(x, { ...machine, chunkSteps: 800 });
  const last = Float32Array.from({ length: samples * cues }, (_, i) => {
    return output.data[(Math.floor(i / cues) * S + S - 1) * cues + (i % cues)];
  });
  return judge(last, labels);
}

async function scoreGated(neuron, thresholds, { x, labels }) {
  const [samples, S] = x.shape;
  const gated = await GatedElm.open(neuron, thresholds);
  const last = new Float32Array(samples * cues);
  for (let b = 0; b < samples; b++) {
    gated.reset();
    let y;
    for (let t = 0; t < S; t++) {
      const [from, to] = [x.offsets[b * S + t], x.offsets[b * S + t + 1]];
      y = gated.step(Array.from(x.channels.subarray(from, to), (channel) => ({ channel })));
    }
    last.set(y, b * cues);
  }
  gated.dispose();
  return judge(last, labels);
}

async function trained(seed) {
  const neuron = ElmNeuron.create({ inputs: channels, outputs: cues, memory: 16, tauMinMs: 1, tauMaxMs: L }, seed);
  const trainable = new Set(neuron.trainable);
  const outputs = (x, variables, S) => lastOf(traceElm(neuron.config, neuron.routing, x, variables).output, S);
  const task = {
    name: 'horizon',
    variables: new Map([...neuron.parameters].map(([name, one]) => [name, { ...one, trainable: trainable.has(name) }])),
    batch: async (step) => batch(seed, 'train', step, 16, L),
    shapesOf: () => ({ x: [16, L, channels] }),
    loss: (variables, { x }) => {
      const logits = outputs(input('x', 'events', x), variables, L);
      return { loss: apply(softmaxCrossEntropy, { logits, labels: input('labels', 'int', [16]) }).loss };
    },
    async evaluator(session, variables) {
      const held = batch(seed, 'valid', 0, 64, L);
      const program = ({ x }) => ({ outputs: { logits: outputs(input('x', 'events', x), variables, L) } });
      const run = compile(session, program, ({ x }) => ({ x: x.shape }));
      return {
        evaluate: async () => judge((await run({ x: held.x })).logits, held.labels),
        dispose: () => run.dispose(),
      };
    },
    selection: { score: 'loss', better: 'lower' },
  };
  const steps = Number(flags.steps);
  const plan = {
    steps,
    optimiser: 'adam',
    schedule: 'cosine',
    learningRate: 3e-3,
    clipNorm: 1,
    validEvery: steps / 10,
  };
  const session = await openSession('auto', machine);
  try {
    const { parameters } = await train(task, { plan, session });
    const all = new Map([...neuron.parameters, ...parameters]);
    return new ElmNeuron({ config: neuron.config, routing: neuron.routing, parameters: all });
  } finally {
    session.dispose();
  }
}

const results = new Map(lengths.map((S) => [S, { plain: [], stretched: [], gated: [] }]));
for (const seed of flags.seeds.split(',').map(Number)) {
  const neuron = await trained(seed);
  const sample = batch(seed, 'calibrate', 0, 1, L);
  const { memory } = await neuron.run(sample.x, { ...machine, taps: ['memory'] });
  for (const S of lengths) {
    const test = batch(seed, 'test', 0, Number(flags.samples), S);
    const row = results.get(S);
    row.plain.push(await score(neuron, test));
    row.stretched.push(await score(stretchElm(neuron, { from: L, to: S }), test));
    row.gated.push(await scoreGated(neuron, gateThresholds(neuron, memory.data, { from: L, to: S }), test));
    process.stderr.write(
      `seed ${seed}, ${S} ms: ${Object.entries(row)
        .map(([name, list]) => `${name} ${list.at(-1).accuracy}`)
        .join(', ')}\n`,
    );
  }
}
const cell = (list) => {
  const sorted = list.map(({ accuracy }) => 100 * accuracy).sort((a, b) => a - b);
  return `${sorted[Math.floor(sorted.length / 2)].toFixed(0)} (${sorted[0].toFixed(0)}–${sorted.at(-1).toFixed(0)})`;
};
process.stdout.write('| length (ms) | as trained | stretched | gated |\n|---|---|---|---|\n');
for (const [S, { plain, stretched, gated }] of results) {
  process.stdout.write(`| ${S} | ${cell(plain)} | ${cell(stretched)} | ${cell(gated)} |\n`);
}
