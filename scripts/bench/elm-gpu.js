// Times the Branch-ELM (500 ms windows, 1278 inputs, 45 x 100 synapses) on a GPU: a training step (forward, backward, Adam) or
// the forward pass alone, dendra's webgpu backend and its peers, some steps of each in turn, every contender a process of its
// own. Says where dendra's time goes, beside what the GPU could do at best: bytes, arithmetic, and the latency of a step in time.
//
//   node scripts/bench/elm-gpu.js [--cases 20x8,100x32,100x256] [--forward 100x32] [--large 100x1024,200x32] [--rounds 5]
//                                 [--python python3] [--unroll 1,10,50] [--large-unroll 10] [--no-peers] [--no-official] [--no-graph]
//                                 [--backends webgpu,webgpu:float32,gpujs:webgpu] [--profile] [--floors] [--minutes 8] [--json FILE]
//
// Cases are memory x batch. Those under --large are forward and backward too, without the official loop. Peers run where Python
// has jax and torch with CUDA; one that is missing is named. What --minutes leaves no time for is named too.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { contender, median } from './contenders.js';
import { work } from './elm-work.js';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '20x8,100x32,100x256' },
    forward: { type: 'string', default: '' },
    large: { type: 'string', default: '' },
    rounds: { type: 'string', default: '5' },
    python: { type: 'string', default: 'python3' },
    unroll: { type: 'string', default: '1,10,50' },
    'large-unroll': { type: 'string', default: '10' },
    'no-peers': { type: 'boolean', default: false },
    'no-official': { type: 'boolean', default: false },
    'no-graph': { type: 'boolean', default: false },
    backends: { type: 'string', default: 'webgpu' },
    profile: { type: 'boolean', default: false },
    floors: { type: 'boolean', default: false },
    minutes: { type: 'string', default: '60' },
    json: { type: 'string' },
  },
});
const peers = join(dirname(fileURLToPath(import.meta.url)), 'peers');
const deadline = performance.now() + Number(values.minutes) * 60_000;
const longestStartMs = 120_000;
const say = (line) => process.stdout.write(`${line}\n`);
const parts = (list) => list.split(',').filter(Boolean);
const report = { node: process.version, floors: undefined, cases: [] };
const save = () => values.json && writeFileSync(values.json, JSON.stringify(report, null, 1));

const cases = [
  ...parts(values.cases).map((name) => ({ name, kind: 'training' })),
  ...parts(values.forward).map((name) => ({ name, kind: 'forward' })),
  ...parts(values.large).map((name) => ({ name, kind: 'large' })),
];

function candidatesOf({ name, kind }) {
  const [memory, batch] = name.split('x');
  const sizes = ['--memory', memory, '--batch', batch];
  const mode = kind === 'forward' ? ['--inference'] : [];
  const python = (peer, file, ...args) => ({
    name: peer,
    command: values.python,
    args: [join(peers, file), ...sizes, ...args, ...mode],
  });
  const found = parts(values.backends).map((backend) => ({
    name: backend,
    own: true,
    command: process.execPath,
    args: [join(peers, 'elm-gpu-dendra.js'), ...sizes, '--backend', backend, ...mode],
  }));
  if (values['no-peers']) return found;
  for (const unroll of parts(kind === 'training' ? values.unroll : values['large-unroll'])) {
    found.push(python(`jax ${unroll}`, 'elm_gpu_jax.py', '--unroll', unroll));
  }
  if (!values['no-graph']) found.push(python('torch graph', 'elm_gpu_torch.py', '--style', 'graph'));
  if (!values['no-official'] && kind === 'training') {
    found.push(python('torch official', 'elm_gpu_torch.py', '--style', 'official'));
  }
  return found;
}

const isSlow = ({ name }) => name === 'torch official' || name.startsWith('gpujs');

function stepsPerRound(entry, batch) {
  if (isSlow(entry)) return entry.own ? 1 : 2;
  if (batch >= 1024) return 5;
  return entry.own ? 20 : 10;
}

async function start(candidate, name) {
  const running = { ...candidate, ...contender(candidate.command, candidate.args), times: [] };
  try {
    running.about = (await running.next(Math.min(longestStartMs, deadline - performance.now()))).ready;
    return running;
  } catch (error) {
    say(`${name}: ${candidate.name} left out: ${error.message}`);
    running.end();
    return undefined;
  }
}

/** How the time of a step of dendra's is spent. */
async function anatomy(entry, name) {
  const waits = [];
  for (let k = 0; k < 9; k++) waits.push(await entry.ask('read'));
  const found = { awaitedMs: median(waits), hostMs: await entry.ask('host') };
  say(
    `${name}: ${entry.name}, result awaited after every step ${found.awaitedMs.toFixed(3)} ms; host busy ${found.hostMs.toFixed(3)} ms a step`,
  );
  if (!values.profile || !entry.name.startsWith('webgpu')) return found;
  await entry.ask('profile');
  const kernels = (await entry.ask('profile')).sort((a, b) => b.milliseconds - a.milliseconds);
  const total = kernels.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  say(`${name}: ${kernels.length} kernels, ${total.toFixed(3)} ms`);
  for (const { label, milliseconds } of kernels.slice(0, 12)) {
    say(`    ${(milliseconds * 1000).toFixed(0).padStart(6)} us  ${label}`);
  }
  return { ...found, kernelsMs: total, kernels };
}

async function measure({ name, kind }) {
  const [memory, batch] = name.split('x').map(Number);
  const large = kind === 'large';
  const candidates = candidatesOf({ name, kind });
  const title = `${name}${kind === 'forward' ? ' forward' : ''}`;
  const result = { memory, batch, kind, contenders: [], anatomy: undefined };
  // Large batches fill the memory of the GPU, so their contenders run one after the other.
  const groups = large ? candidates.map((one) => [one]) : [candidates];
  for (const group of groups) {
    const running = (await Promise.all(group.map((one) => start(one, title)))).filter(Boolean);
    for (let round = 0; round < (large ? Math.min(3, Number(values.rounds)) : Number(values.rounds)); round++) {
      for (const entry of running) {
        entry.times.push(await entry.ask(stepsPerRound(entry, batch)));
      }
    }
    for (const entry of running) {
      const { name: who, about, times } = entry;
      result.contenders.push({ name: who, own: entry.own ?? false, about, stepMs: median(times), times });
      if (entry.own && !isSlow(entry)) result.anatomy = { ...result.anatomy, [who]: await anatomy(entry, title) };
      entry.end();
    }
  }
  const fastest = Math.min(...result.contenders.filter(({ own }) => !own).map(({ stepMs }) => stepMs));
  const { floatOperations, bytes } = work(memory, batch, kind !== 'forward');
  result.work = { floatOperations, bytes };
  if (report.floors) {
    const { bytesPerSecond, float32PerSecond, steps } = report.floors;
    result.floorsMs = {
      arithmetic: (floatOperations / float32PerSecond) * 1e3,
      bytes: (bytes / bytesPerSecond) * 1e3,
      latency: kind === 'forward' ? steps.forwardMs : steps.forwardMs + steps.backwardMs,
    };
    say(
      `${title}: at best ${Object.entries(result.floorsMs)
        .map(([what, ms]) => `${ms.toFixed(3)} ms by ${what}`)
        .join(', ')}`,
    );
  }
  for (const { name: who, own, about, stepMs, times } of result.contenders) {
    const spread = `${Math.min(...times).toFixed(2)} to ${Math.max(...times).toFixed(2)}`;
    const ratio = own && Number.isFinite(fastest) ? `, ${(fastest / stepMs).toFixed(1)} times the fastest peer` : '';
    say(`${title}: ${stepMs.toFixed(3)} ms (${spread})${ratio}  ${who}: ${about}`);
  }
  report.cases.push(result);
  save();
}

/** What this GPU does at best: copies, multiply-adds of float32, and the shortest walk through the steps of a window. */
async function floors() {
  const peer = contender(values.python, [join(peers, 'gpu_floors.py')]);
  const own = contender(process.execPath, [join(peers, 'elm-gpu-dendra.js'), '--memory', '4', '--batch', '1']);
  try {
    const { bytesPerSecond, float32PerSecond, device } = await peer.next(longestStartMs);
    await own.next(longestStartMs);
    await own.ask('profile');
    const kernels = await own.ask('profile');
    const time = (pattern) => kernels.find(({ label }) => pattern.test(label)).milliseconds;
    const steps = { forwardMs: time(/^elmScan, \d/), backwardMs: time(/^elmScan, backward, \d/) };
    report.floors = { device, bytesPerSecond, float32PerSecond, steps };
    say(
      `${device}: copies ${(bytesPerSecond / 1e12).toFixed(2)} TB/s, float32 products ${(float32PerSecond / 1e12).toFixed(1)} TFLOP/s; a walk of 4 units through 500 steps takes ${steps.forwardMs.toFixed(3)} ms forward, ${steps.backwardMs.toFixed(3)} ms backward`,
    );
  } catch (error) {
    say(`floors left out: ${error.message}`);
  } finally {
    peer.end();
    own.end();
  }
}

if (values.floors) await floors();
for (const one of cases) {
  if (performance.now() > deadline) say(`${one.name} ${one.kind}: left out, no time`);
  else await measure(one);
}
save();
