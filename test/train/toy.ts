/** A task small enough to train thousands of steps in a test: linear regression on batches keyed by the step. */
import { Stream } from '../../src/base/random.js';
import { apply, input } from '../../src/graph/index.js';
import { linear, meanSquaredError } from '../../src/ops/index.js';
import type { Scores, TrainingTask } from '../../src/train/index.js';

export const toyWeights = [0.5, -1, 2, 0.25, -0.75, 1.5];
const rows = 4;

export interface ToyOptions {
  /** what the evaluator says at its k-th call; default: minus the distance from the true weights */
  scores?: (call: number) => Scores;
  /** called with every batch's step, before it is made */
  onBatch?: (step: number) => void | Promise<void>;
}

export function toyTask({ scores, onBatch }: ToyOptions = {}): TrainingTask {
  return {
    name: 'toy',
    variables: new Map([
      ['w', { shape: [2, 3], data: new Float32Array(6), trainable: true }],
      ['fixed', { shape: [2], data: new Float32Array([0.1, -0.1]), trainable: false }],
    ]),
    async batch(step) {
      await onBatch?.(step);
      const stream = new Stream(3, 'toy', step);
      const x = Float32Array.from({ length: rows * 3 }, () => stream.normal());
      const y = new Float32Array(rows * 2);
      for (let r = 0; r < rows; r++) {
        for (let o = 0; o < 2; o++) {
          y[r * 2 + o] = (o === 0 ? 0.1 : -0.1) + stream.normal(0, 0.1);
          for (let i = 0; i < 3; i++) y[r * 2 + o] += toyWeights[o * 3 + i] * x[r * 3 + i];
        }
      }
      return { x, y };
    },
    shapesOf: () => ({ x: [rows, 3], y: [rows, 2] }),
    loss(variables, shapes) {
      const prediction = apply(linear, {
        x: input('x', 'float', shapes.x),
        weight: variables.w,
        bias: variables.fixed,
      }).y;
      return { loss: apply(meanSquaredError, { prediction, target: input('y', 'float', shapes.y) }).loss };
    },
    async evaluator(session, variables) {
      let call = 0;
      const { origin } = variables.w;
      return {
        async evaluate() {
          const w = await session.read(origin.from === 'variable' ? origin.name : '');
          const distance = Math.hypot(...toyWeights.map((value, i) => value - w[i]));
          return scores?.(call++) ?? { distance };
        },
        dispose() {},
      };
    },
    selection: { score: 'distance', better: 'lower' },
  };
}
