/** @file The sizes of an ELM scan, and the gradients of its weights: matrix products over all samples and steps. */
import type { ElmScanAttributes } from '../../../ops/elm-scan.js';
import type { Call, Ref } from '../builder.js';
import { activationValue, u } from '../wgsl.js';
import { withOnes, writeWithBias } from './linear.js';
import { matrixProduct } from './matrix-product.js';

export interface Scan {
  readonly samples: number;
  readonly steps: number;
  readonly units: number;
  /** K_0 … K_{L−1}, and M at the end */
  readonly widths: readonly number[];
  readonly attributes: ElmScanAttributes;
}

export function scanOf(call: Call): Scan {
  const [samples, steps, first] = call.shape('drive');
  const [units] = call.shape('decay');
  return {
    samples,
    steps,
    units,
    widths: [first, ...call.shapes('biases').map(([width]) => width)],
    attributes: call.attributes as ElmScanAttributes,
  };
}

/** dR = κ Σ dPre_0 m_{t−1}ᵀ; dW_i = Σ dPre_i f(a_{i−1})ᵀ, the bias being its column of ones. */
export function weightGradients(
  call: Call,
  { samples, steps, units, widths, attributes }: Scan,
  hidden: Ref[],
  dPre: Ref[],
): void {
  const [dRecurrent, dWeights, dBiases] = [call.into('recurrent'), call.intoList('weights'), call.intoList('biases')];
  const [decay, initial, memory] = [call.input('decay'), call.optional('initial'), call.output('memory')];
  const depth = samples * steps;
  if (dRecurrent) {
    matrixProduct(call, {
      label: 'elmScan, backward recurrent',
      rows: widths[0],
      columns: units,
      depth,
      a: (m, k) => dPre[0].at(`${k} * ${u(widths[0])} + ${m}`),
      aRuns: 'm',
      b: (k, n) => `before(${k}, ${n})`,
      bRuns: 'n',
      // The decay of a unit is a factor of the whole sum.
      write: (m, n, value) => dRecurrent.set(`${m} * ${u(units)} + ${n}`, `${decay.at(n)} * (${value})`),
      declarations: () => `fn before(row: u32, unit: u32) -> f32 {
  let earlier = ${memory.at(`(max(row, 1u) - 1u) * ${u(units)} + unit`)};
  return select(earlier, ${initial ? initial.at(`row / ${u(steps)} * ${u(units)} + unit`) : '0f'}, row % ${u(steps)} == 0u);
}
`,
    });
  }
  for (let i = 1; i < widths.length; i++) {
    const [rows, columns] = [widths[i], widths[i - 1]];
    const [dWeight, dBias] = [dWeights[i - 1], dBiases[i - 1]];
    if (!dWeight && !dBias) continue;
    matrixProduct(call, {
      label: `elmScan, backward weights ${i}`,
      rows,
      columns: dBias ? columns + 1 : columns,
      depth,
      a: (m, k) => dPre[i].at(`${k} * ${u(rows)} + ${m}`),
      aRuns: 'm',
      b: (k, n) =>
        withOnes(
          dBias !== undefined,
          n,
          columns,
          `outOf(${hidden[i - 1].at(`${k} * ${u(columns)} + min(${n}, ${u(columns - 1)})`)})`,
        ),
      bRuns: 'n',
      write: (m, n, value) =>
        writeWithBias(
          dBias && ((at) => dBias.set(at, value)),
          m,
          n,
          columns,
          dWeight ? dWeight.set(`${m} * ${u(columns)} + ${n}`, value) : '',
        ),
      declarations: () => `fn outOf(a: f32) -> f32 { return ${activationValue(attributes.activation, 'a')}; }\n`,
    });
  }
}
