// What LongMamba's filter costs: time of a whole prompt through the plain model and through the filtered one, interleaved,
// medians over repeats and the ratio's quartiles.
//
//   node scripts/bench/mamba-filter.js --lengths 4096,16384 --repeats 9
import { parseArgs } from 'node:util';
import { calibrateLongMamba, MambaModel } from '../../dist/node/mamba/index.js';

const { values: flags } = parseArgs({
  options: {
    lengths: { type: 'string', default: '4096,16384' },
    repeats: { type: 'string', default: '9' },
    threads: { type: 'string', default: '2' },
  },
});
const machine = { backend: 'wasm', threads: Number(flags.threads) };
const sizes = [
  { width: 64, layers: 2, version: 1 },
  { width: 256, layers: 4, version: 1 },
  { width: 256, layers: 4, version: 2, stateSize: 64 },
];
const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.round(q * (values.length - 1))];

const L = 256;
const tokens = (length) => ({ shape: [1, length], data: Int32Array.from({ length }, (_, i) => (i * 7919) % 253) });
process.stdout.write('| model | tokens | plain (ms) | filtered (ms) | cost (%), quartiles |\n|---|---|---|---|---|\n');
for (const options of sizes) {
  const model = MambaModel.create({ vocabulary: 256, ...options });
  const settings = { trainingLength: L, globalShare: 0.5, clamp: 0.05 };
  const extension = await calibrateLongMamba(model, [tokens(L)], settings, machine);
  const runners = [await model.open(machine), await model.withExtension(extension).open(machine)];
  for (const length of flags.lengths.split(',').map(Number)) {
    const ids = tokens(length);
    const times = [[], []];
    for (let repeat = -1; repeat < Number(flags.repeats); repeat++) {
      // Whichever goes first alternates, so that a machine that slows down treats both alike.
      for (const k of repeat % 2 ? [1, 0] : [0, 1]) {
        const started = performance.now();
        await runners[k].forward(ids, { logits: 'last' });
        if (repeat >= 0) times[k].push(performance.now() - started);
      }
    }
    const costs = times[0].map((time, i) => 100 * (times[1][i] / time - 1));
    const [plain, filtered] = times.map((list) => quantile(list, 0.5).toFixed(1));
    const spread = [0.5, 0.25, 0.75].map((q) => quantile(costs, q).toFixed(1));
    const name = `Mamba-${options.version}, D ${options.width}, ${options.layers} layers`;
    process.stdout.write(
      `| ${name} | ${length} | ${plain} | ${filtered} | ${spread[0]} (${spread[1]} to ${spread[2]}) |\n`,
    );
  }
  for (const runner of runners) runner.dispose();
}
