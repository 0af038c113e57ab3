/**
 * @file Lowering of the leaky trace: one invocation per sample and feature walks through time. The recurrence is one
 * multiply-add per step, so what counts is that many loads are under way at once: blocks of steps are loaded before use.
 */
import type { Call, Lowering } from '../builder.js';
import { u } from '../wgsl.js';
import { columnSums } from './column-sums.js';

const block = 16;
const threads = 32;

/** Walks through `steps`, forwards or backwards: loads for a whole block, then the dependent part step by step. */
function walk(
  steps: number,
  backwards: boolean,
  load: (at: string, k: string) => string,
  step: (at: string, k: string) => string,
) {
  const blocks = Math.floor(steps / block);
  const at = (k: number) => (backwards ? `(last - (t + ${u(k)}) * features)` : `(first + (t + ${u(k)}) * features)`);
  const run = (count: number) => {
    const each = Array.from({ length: count }, (_, k) => k);
    return `${each.map((k) => `    ${load(at(k), String(k))}`).join('\n')}
${each.map((k) => `    { ${step(at(k), String(k))} }`).join('\n')}`;
  };
  const rest = steps - blocks * block;
  return `  for (var t = 0u; t < ${u(blocks * block)}; t += ${u(block)}) {
${run(block)}
  }
${rest ? `  {\n    let t = ${u(blocks * block)};\n${run(rest)}\n  }` : ''}`;
}

function frame(call: Call): { samples: number; steps: number; features: number; groups: number; prologue: string } {
  const [samples, steps, features] = call.shape('x');
  const prologue = `  let i = group * ${u(threads)} + lane;
  if (i >= ${u(samples * features)}) { return; }
  const features = ${u(features)};
  let first = i / features * ${u(steps * features)} + i % features;
  let last = first + ${u((steps - 1) * features)};`;
  return { samples, steps, features, groups: Math.ceil((samples * features) / threads), prologue };
}

export const leakyTrace: Lowering = {
  forward(call) {
    const { steps, groups, prologue } = frame(call);
    const [x, decay, initial, trace] = [
      call.input('x'),
      call.input('decay'),
      call.optional('initial'),
      call.output('trace'),
    ];
    call.kernel({
      label: 'leaky trace',
      groups,
      threads,
      body: () => `${prologue}
  let decay = ${decay.at('(i % features)')};
  var y = ${initial ? initial.at('i') : '0f'};
${walk(
  steps,
  false,
  (at, k) => `let x${k} = ${x.at(at)};`,
  (at, k) => `y = fma(decay, y, x${k}); ${trace.set(at, 'y')}`,
)}`,
    });
  },

  backward(call) {
    const { samples, steps, features, groups, prologue } = frame(call);
    const [decay, initial, trace] = [call.input('decay'), call.optional('initial'), call.output('trace')];
    const dTrace = call.seed('trace');
    const [dx, dDecay, dInitial] = [call.into('x'), call.into('decay'), call.into('initial')];
    const partial = dDecay && call.temporary(samples * features);
    call.kernel({
      label: 'leaky trace, backward',
      groups,
      threads,
      body: () => `${prologue}
  let decay = ${decay.at('(i % features)')};
  let before0 = ${initial ? initial.at('i') : '0f'};
  var carried = 0f;
  var decaySum = 0f;
${walk(
  steps,
  true,
  (at, k) => `let g${k} = ${dTrace.at(at)};
    ${partial ? `var before${k}b = before0;\n    if (${at} != first) { before${k}b = ${trace.at(`(${at} - features)`)}; }` : ''}`,
  (at, k) =>
    `let dy = g${k} + carried; ${dx ? dx.set(at, 'dy') : ''} ${partial ? `decaySum = fma(dy, before${k}b, decaySum);` : ''} carried = decay * dy;`,
)}
  ${partial ? partial.set('i', 'decaySum') : ''}
  ${dInitial ? dInitial.set('i', 'carried') : ''}`,
    });
    if (partial && dDecay) {
      columnSums(call, {
        label: 'leaky trace, backward decay',
        rows: samples,
        columns: features,
        term: (row, column) => partial.at(`(${row} * ${u(features)} + ${column})`),
        write: (column, total) => dDecay.set(column, total),
      });
    }
  },
};
