/**
 * @file Adam, Adamax and global-norm clipping. What changes from step to step (step size, bias corrections) is computed on
 * the host in float64. Moments below 1e-30 become zero: those of synapses that died would decay into subnormal numbers.
 */
import type { ForwardOperation, Tensor } from '../../../graph/tensor.js';
import type { AdamAttributes } from '../../../ops/optimisers.js';
import {
  type FunctionBuilder,
  f32,
  f32x4,
  f64,
  f64x2,
  type I32,
  i32x4,
  type V128,
  v128,
} from '../../../runtime/wasm/index.js';
import type { Kernel, Lowering } from '../lowering.js';
import type { Emission } from '../steps.js';
import { gatheredStep } from './gathered.js';
import { elementStep } from './shares.js';
import { flush } from './vectors.js';

type List = readonly Tensor[];

/** One step over all parameters: update(p, g, m, v) gives the new p, m, v. */
function optimiser(
  name: string,
  scalars: (learningRate: number, step: number, attributes: AdamAttributes) => readonly number[],
  update: (
    f: FunctionBuilder,
    values: { p: V128; g: V128; m: V128; v: V128; scalars: readonly V128[] },
    attributes: AdamAttributes,
  ) => { p: V128; m: V128; v: V128 },
): Kernel {
  return {
    forward(l: Lowering, { inputs, outputs, attributes }: ForwardOperation) {
      const settings = attributes as AdamAttributes;
      const rate = nameOf(inputs.learningRate as Tensor);
      const stepName = nameOf(inputs.step as Tensor);
      const count = scalars(1, 1, settings).length;
      const numbers = l.hostWords(count, (feeds, floats) => {
        floats.set(scalars(feeds[rate] as number, feeds[stepName] as number, settings));
      });
      const scale = inputs.gradientScale && l.plain(inputs.gradientScale as Tensor);
      const listed = (record: ForwardOperation['inputs'], key: string) => record[key] as List;
      const results = outputs as ForwardOperation['inputs'];
      listed(inputs, 'parameters').forEach((parameter, k) => {
        const gradient = listed(inputs, 'gradients')[k];
        const states = [parameter, listed(inputs, 'first')[k], listed(inputs, 'second')[k]].map((one) => l.plain(one));
        const to = ['parameters', 'first', 'second'].map((key) => l.writePlain(listed(results, key)[k]));
        /** To be called before a loop: gives the update of a vector, from the pointers of `states` and `to`. */
        const prepare = ({ f, pointer, at }: Emission) => {
          const start = at(numbers);
          const splats = Array.from({ length: count }, (_, i) =>
            f.let(v128.load32Splat(start.base, start.offset + i * 4)),
          );
          const factor = scale && f.let(v128.load32Splat(pointer(scale)));
          return (from: readonly I32[], targets: readonly I32[], gradient: V128, offset: number) => {
            const [p, m, v] = from.map((one) => f.let(v128.load(one, offset)));
            const g = factor ? f.let(f32x4.mul(gradient, factor)) : gradient;
            const next = update(f, { p, g, m, v, scalars: splats }, settings);
            f.store(targets[0], next.p, offset);
            f.store(targets[1], next.m, offset);
            f.store(targets[2], next.v, offset);
          };
        };
        const pieces = l.piecesOf(gradient);
        if (pieces) {
          gatheredStep(l, {
            label: `${name} gathered`,
            like: gradient,
            pieces,
            states,
            to,
            reads: [numbers, scale],
            prepare,
          });
          return;
        }
        const from = [l.plain(gradient), ...states];
        elementStep(l, {
          label: name,
          like: parameter,
          // Written over what was read where it is the same variable.
          elements: [...from, ...to],
          reads: [...from, numbers, scale],
          writes: to,
          unroll: 2,
          emit(emission, pointers) {
            const { f } = emission;
            const step = prepare(emission);
            const [first, ...others] = pointers;
            return (offset) => step(others.slice(0, 3), others.slice(3), f.let(v128.load(first, offset)), offset);
          },
        });
      });
    },
  };
}

/** β x + (1 − β) y */
function blend(f: FunctionBuilder, beta: number, x: V128, y: V128): V128 {
  return f.madd(x, f.all(beta), f32x4.mul(y, f.all(1 - beta)));
}

export const adam = optimiser(
  'adam',
  (learningRate, step, { beta1, beta2 }) => [learningRate / (1 - beta1 ** step), 1 / Math.sqrt(1 - beta2 ** step)],
  (f, { p, g, m, v, scalars: [stepSize, inverseRoot] }, { beta1, beta2, epsilon }) => {
    const first = f.let(flush(f, blend(f, beta1, m, g)));
    const second = f.let(flush(f, blend(f, beta2, v, f32x4.mul(g, g))));
    const root = f.madd(f32x4.sqrt(second), inverseRoot, f.all(epsilon));
    const moved = f32x4.div(f32x4.mul(stepSize, first), root);
    return { p: f32x4.sub(p, moved), m: first, v: second };
  },
);

export const adamax = optimiser(
  'adamax',
  (learningRate, step, { beta1 }) => [learningRate / (1 - beta1 ** step)],
  (f, { p, g, m, v, scalars: [stepSize] }, { beta1, beta2, epsilon }) => {
    const first = f.let(flush(f, blend(f, beta1, m, g)));
    const size = f32x4.add(f32x4.abs(g), f.all(epsilon));
    const second = f.let(f32x4.max(f32x4.mul(v, f.all(beta2)), size));
    const moved = f32x4.div(f32x4.mul(stepSize, first), second);
    return { p: f32x4.sub(p, moved), m: first, v: second };
  },
);

export const clipByGlobalNorm: Kernel = {
  forward(l, { inputs, outputs, attributes }) {
    const { maxNorm } = attributes as { maxNorm: number };
    const gradients = (inputs.gradients as List).map((tensor) => l.plain(tensor));
    const norm = l.writePlain(outputs.norm as Tensor);
    const scale = l.writePlain(outputs.scale as Tensor);
    l.step('clip', undefined, gradients, [norm, scale], ({ f, pointer }) => {
      const low = f.let(f64x2.all(0));
      const high = f.let(f64x2.all(0));
      const addSquares = (value: V128) => {
        const v = f.let(value);
        const first = f.let(f64x2.promoteLowF32x4(v));
        const second = f.let(f64x2.promoteLowF32x4(f32x4.shuffle(v, v, 2, 3, 2, 3)));
        f.set(low, f.madd64(first, first, low));
        f.set(high, f.madd64(second, second, high));
      };
      for (const gradient of gradients) {
        const p = pointer(gradient);
        const whole = Math.floor(gradient.words / 4);
        f.forRange(0, whole, 1, () => {
          addSquares(v128.load(p));
          f.add(p, 16);
        });
        // What lies behind the last element is not part of the gradient.
        const rest = gradient.words % 4;
        if (rest) {
          const mask = [0, 1, 2, 3].map((lane) => (lane < rest ? -1 : 0)) as [number, number, number, number];
          f.scope(() => addSquares(v128.and(v128.load(p), i32x4.const(...mask))));
        }
      }
      const pairs = f.let(f64x2.add(low, high));
      const length = f.let(f64.sqrt(f64.add(f64x2.extract(pairs, 0), f64x2.extract(pairs, 1))));
      f.store(pointer(norm), f32.demote(length));
      f.store(pointer(scale), f32.const(1));
      f.if(f64.gt(length, f64.const(maxNorm)), () => {
        f.store(pointer(scale), f32.demote(f64.div(f64.const(maxNorm), length)));
      });
    });
  },
};

function nameOf(tensor: Tensor): string {
  return tensor.origin.from === 'input' ? tensor.origin.name : '';
}
