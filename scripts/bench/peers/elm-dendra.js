// dendra's side of scripts/bench/elm-cpu.js, with the protocol of its peers: reads lines `<count>`, runs so many training
// steps, answers with a JSON list of milliseconds. Run by the Node that is to be timed.
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { prepareElmBench, timesOf } from '../../../dist/node/train/index.js';

const { values } = parseArgs({
  options: {
    memory: { type: 'string', default: '20' },
    batch: { type: 'string', default: '8' },
    steps: { type: 'string', default: '500' },
    threads: { type: 'string', default: '2' },
    simd: { type: 'string' },
  },
});
const bench = await prepareElmBench({
  memory: Number(values.memory),
  batch: Number(values.batch),
  windowMs: Number(values.steps),
  threads: Number(values.threads),
  simd: values.simd,
  backend: 'wasm',
});
await timesOf(30, bench.trainOnce);
const { threads, simd } = bench.execution;
process.stdout.write(`${JSON.stringify({ ready: `Node ${process.version}, ${threads} threads, ${simd} SIMD` })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await timesOf(Number(line), bench.trainOnce))}\n`);
}
