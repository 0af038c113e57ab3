/**
 * @file The recurrence of a long short-term memory layer. The input half of the gates (weights and bias) is in `drive`,
 * computed for all time steps beforehand; the scan is what must run step by step:
 *
 *     v_t = mask ⊙ h_{t−1}
 *     a_t = drive_t + R v_t                            four blocks of H: input, forget, candidate, output
 *     i, f, o = σ(a_i), σ(a_f), σ(a_o)                 g = tanh(a_g)
 *     c_t = f ⊙ c_{t−1} + i ⊙ g
 *     h_t = o ⊙ tanh(c_t)
 *
 * Shapes, with H units: drive [B, T, 4H], recurrent R [4H, H], mask [B, H] (ones when left out; recurrent dropout that holds
 * for all steps, Gal and Ghahramani 2016; it has no gradient), initialHidden h_{−1} and initialCell c_{−1} [B, H] (zero when
 * left out) → hidden [B, T, H], cell [B, T, H]. The order of the blocks is PyTorch's.
 *
 * Source: Hochreiter and Schmidhuber, Neural Computation 9, 1997, with the forget gate of Gers, Schmidhuber and Cummins, 2000.
 */
import { type FloatArray, type Shape, sameShape, shapeText } from '../base/arrays.js';
import { inputError } from '../base/errors.js';
import { sigmoid } from '../memory/timescale.js';
import { definePrimitive } from './primitive.js';

const spec = {
  drive: 'float',
  recurrent: 'float',
  mask: 'float?',
  initialHidden: 'float?',
  initialCell: 'float?',
} as const;

function requireShape(name: string, actual: Shape, expected: Shape): void {
  if (sameShape(actual, expected)) return;
  throw inputError('lstmScan', `\`${name}\` of shape ${shapeText(expected)}`, shapeText(actual));
}

/** The value one step before: of the row above, or the initial one. */
const valueBefore = (
  rows: FloatArray,
  initial: FloatArray | undefined,
  sample: number,
  step: number,
  row: number,
  unit: number,
  units: number,
): number => {
  if (step > 0) return rows[(row - 1) * units + unit];
  return initial ? initial[sample * units + unit] : 0;
};

export const lstmScan = definePrimitive<typeof spec, { hidden: 'float'; cell: 'float' }, Record<string, never>>({
  name: 'lstmScan',
  inputs: spec,
  outputs: { hidden: 'float', cell: 'float' },
  differentiable: ['drive', 'recurrent', 'initialHidden', 'initialCell'],

  infer({ drive, recurrent, ...rest }) {
    const [samples, steps, gates] = drive.shape;
    if (drive.shape.length !== 3 || gates % 4 !== 0) {
      throw inputError('lstmScan', '`drive` of shape [samples, steps, 4 · units]', shapeText(drive.shape));
    }
    const units = gates / 4;
    requireShape('recurrent', recurrent.shape, [gates, units]);
    for (const name of ['mask', 'initialHidden', 'initialCell'] as const) {
      const given = rest[name];
      if (given) requireShape(name, given.shape, [samples, units]);
    }
    return { hidden: [samples, steps, units], cell: [samples, steps, units] };
  },

  forward({ types, inputs, outputs: { hidden, cell }, buffer, sums }) {
    const { drive, recurrent, mask, initialHidden, initialCell } = inputs;
    const [samples, steps, gates] = types.drive.shape;
    const units = gates / 4;
    const seen = sums('seen', units);
    // The gates after their non-linearities, for backward.
    const kept = buffer('gates', samples * steps * gates);
    for (let b = 0; b < samples; b++) {
      for (let t = 0; t < steps; t++) {
        const row = b * steps + t;
        for (let n = 0; n < units; n++) {
          const before = valueBefore(hidden, initialHidden, b, t, row, n, units);
          seen[n] = mask ? mask[b * units + n] * before : before;
        }
        for (let k = 0; k < gates; k++) {
          let a = drive[row * gates + k];
          for (let n = 0; n < units; n++) a += recurrent[k * units + n] * seen[n];
          const candidate = k >= 2 * units && k < 3 * units;
          kept[row * gates + k] = candidate ? Math.tanh(a) : sigmoid(a);
        }
        for (let n = 0; n < units; n++) {
          const [i, f, g, o] = [0, 1, 2, 3].map((gate) => kept[row * gates + gate * units + n]);
          const c = f * valueBefore(cell, initialCell, b, t, row, n, units) + i * g;
          cell[row * units + n] = c;
          hidden[row * units + n] = o * Math.tanh(c);
        }
      }
    }
  },

  backward({ types, inputs, outputs: { hidden, cell }, gradients, into, buffer, sums }) {
    const { recurrent, mask, initialHidden, initialCell } = inputs;
    const { hidden: dHidden, cell: dCell } = gradients;
    if (!dHidden && !dCell) {
      for (const gradient of Object.values(into)) (gradient as FloatArray | undefined)?.fill(0);
      return;
    }
    const [samples, steps, gates] = types.drive.shape;
    const units = gates / 4;
    const kept = buffer('gates', samples * steps * gates);
    const dRecurrent = sums('dRecurrent', gates * units);
    const dPre = sums('dPre', gates);
    const carriedHidden = sums('carriedHidden', units);
    const carriedCell = sums('carriedCell', units);
    for (let b = 0; b < samples; b++) {
      carriedHidden.fill(0);
      carriedCell.fill(0);
      for (let t = steps - 1; t >= 0; t--) {
        const row = b * steps + t;
        for (let n = 0; n < units; n++) {
          const [i, f, g, o] = [0, 1, 2, 3].map((gate) => kept[row * gates + gate * units + n]);
          const squashed = Math.tanh(cell[row * units + n]);
          const dh = (dHidden ? dHidden[row * units + n] : 0) + carriedHidden[n];
          const dc = (dCell ? dCell[row * units + n] : 0) + carriedCell[n] + dh * o * (1 - squashed * squashed);
          dPre[n] = dc * g * i * (1 - i);
          dPre[units + n] = dc * valueBefore(cell, initialCell, b, t, row, n, units) * f * (1 - f);
          dPre[2 * units + n] = dc * i * (1 - g * g);
          dPre[3 * units + n] = dh * squashed * o * (1 - o);
          carriedCell[n] = dc * f;
        }
        into.drive?.set(dPre, row * gates);
        for (let n = 0; n < units; n++) {
          const share = mask ? mask[b * units + n] : 1;
          const seen = share * valueBefore(hidden, initialHidden, b, t, row, n, units);
          let dSeen = 0;
          for (let k = 0; k < gates; k++) {
            dSeen += recurrent[k * units + n] * dPre[k];
            dRecurrent[k * units + n] += dPre[k] * seen;
          }
          carriedHidden[n] = share * dSeen;
        }
      }
      into.initialHidden?.set(carriedHidden, b * units);
      into.initialCell?.set(carriedCell, b * units);
    }
    into.recurrent?.set(dRecurrent);
  },
});
