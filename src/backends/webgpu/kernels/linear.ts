/** @file Lowering of y = x Wᵀ + b, for dense x by tiled matrix products, for events by gathers. */
import type { Call, Lowering } from '../builder.js';
import { elementwise } from '../builder.js';
import { u } from '../wgsl.js';
import { columnSums } from './column-sums.js';
import { channelSums, gatherEvents } from './events.js';
import { matrixProduct } from './matrix-product.js';

function sizes(call: Call) {
  const [outputs, inputs] = call.shape('weight');
  return { outputs, inputs };
}

export const linear: Lowering = {
  forward(call) {
    const { outputs, inputs } = sizes(call);
    const [weight, bias, y] = [call.input('weight'), call.optional('bias'), call.output('y')];
    const events = call.events('x');
    if (events) {
      const table = call.temporary(inputs * outputs);
      elementwise(call, 'linear, weight by input', table.size, (i) =>
        table.set(i, weight.at(`${i} % ${u(outputs)} * ${u(inputs)} + ${i} / ${u(outputs)}`)),
      );
      gatherEvents(call, 'linear over events', events, table, bias, y);
      return;
    }
    const x = call.input('x');
    matrixProduct(call, {
      label: 'linear',
      rows: y.size / outputs,
      columns: outputs,
      depth: inputs,
      a: (m, k) => x.at(`${m} * ${u(inputs)} + ${k}`),
      aRuns: 'k',
      b: (k, n) => weight.at(`${n} * ${u(inputs)} + ${k}`),
      bRuns: 'k',
      write: (m, n, value) => y.set(`${m} * ${u(outputs)} + ${n}`, bias ? `${value} + ${bias.at(n)}` : value),
    });
  },

  backward(call) {
    const { outputs, inputs } = sizes(call);
    const [weight, dy] = [call.input('weight'), call.seed('y')];
    const [dx, dWeight, dBias] = [call.into('x'), call.into('weight'), call.into('bias')];
    const rows = dy.size / outputs;
    const events = call.events('x');
    if (dx) {
      matrixProduct(call, {
        label: 'linear, backward x',
        rows,
        columns: inputs,
        depth: outputs,
        a: (m, k) => dy.at(`${m} * ${u(outputs)} + ${k}`),
        aRuns: 'k',
        b: (k, n) => weight.at(`${k} * ${u(inputs)} + ${n}`),
        bRuns: 'n',
        write: (m, n, value) => dx.set(`${m} * ${u(inputs)} + ${n}`, value),
      });
    }
    if (events) {
      if (dWeight) {
        const sum = channelSums(call, 'linear over events, backward', events, dy);
        elementwise(call, 'linear over events, backward weight', dWeight.size, (i) =>
          dWeight.set(i, sum(`${i} % ${u(inputs)}`, `${i} / ${u(inputs)}`)),
        );
      }
      if (dBias) biasGradient(call);
      return;
    }
    if (!dWeight) {
      if (dBias) biasGradient(call);
      return;
    }
    const x = call.input('x');
    // The gradient of the bias is the column of a constant input 1.
    matrixProduct(call, {
      label: 'linear, backward weight',
      rows: outputs,
      columns: dBias ? inputs + 1 : inputs,
      depth: rows,
      a: (m, k) => dy.at(`${k} * ${u(outputs)} + ${m}`),
      aRuns: 'm',
      b: (k, n) => withOnes(dBias !== undefined, n, inputs, x.at(`${k} * ${u(inputs)} + min(${n}, ${u(inputs - 1)})`)),
      bRuns: 'n',
      write: (m, n, value) =>
        writeWithBias(
          dBias && ((at) => dBias.set(at, value)),
          m,
          n,
          inputs,
          dWeight.set(`${m} * ${u(inputs)} + ${n}`, value),
        ),
    });
  },
};

/** A column of ones behind the others. */
export function withOnes(ones: boolean, n: string, columns: number, value: string): string {
  return ones ? `select(${value}, 1f, ${n} == ${u(columns)})` : value;
}

/** What belongs to that column goes to the bias. */
export function writeWithBias(
  bias: ((m: string) => string) | undefined,
  m: string,
  n: string,
  columns: number,
  write: string,
): string {
  return bias ? `if (${n} == ${u(columns)}) { ${bias(m)} } else { ${write} }` : write;
}

function biasGradient(call: Call): void {
  const [dy, dBias] = [call.seed('y'), call.into('bias')];
  if (!dBias) return;
  columnSums(call, {
    label: 'linear, backward bias',
    rows: dy.size / dBias.size,
    columns: dBias.size,
    term: (row, column) => dy.at(`(${row} * ${u(dBias.size)} + ${column})`),
    write: (column, total) => dBias.set(column, total),
  });
}
