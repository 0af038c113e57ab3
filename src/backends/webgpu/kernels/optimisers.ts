/** @file Lowerings of the optimiser updates, all parameters in one kernel, and of clipping by the global norm. */
import type { AdamAttributes } from '../../../ops/optimisers.js';
import { type Call, elementwise, type Lowering, type Ref } from '../builder.js';
import { f, u } from '../wgsl.js';
import { totalSum } from './column-sums.js';
import { overLists } from './elementwise.js';

/** `second` and `update` give the second moment and the change of the parameter as expressions of m, v and g. */
function update(
  name: string,
  second: (attributes: AdamAttributes) => string,
  change: (attributes: AdamAttributes, rootCorrection: string) => string,
): Lowering {
  return {
    forward(call) {
      const attributes = call.attributes as AdamAttributes;
      const { beta1, beta2 } = attributes;
      const [rate, step] = [call.scalar('learningRate'), call.scalar('step')];
      const stepSize = call.floatWord((feeds) => rate(feeds) / (1 - beta1 ** step(feeds)));
      const rootCorrection = call.floatWord((feeds) => Math.sqrt(1 - beta2 ** step(feeds)));
      const factor = call.optional('gradientScale');
      const [p, g] = [call.list('parameters'), call.list('gradients')];
      const [m, v] = [call.list('first'), call.list('second')];
      const [pOut, mOut, vOut] = [call.outputs('parameters'), call.outputs('first'), call.outputs('second')];
      overLists(
        call,
        name,
        p.map(({ size }) => size),
        (k, i) => `let g = ${factor ? `${factor.at('0')} * ` : ''}${g[k].at(i)};
    let m = ${f(beta1)} * ${m[k].at(i)} + ${f(1 - beta1)} * g;
    let before = ${v[k].at(i)};
    let v = ${second(attributes)};
    ${mOut[k].set(i, 'm')}
    ${vOut[k].set(i, 'v')}
    ${pOut[k].set(i, `${p[k].at(i)} - ${stepSize} * m / (${change(attributes, rootCorrection)})`)}`,
      );
    },
  };
}

export const adam = update(
  'adam',
  ({ beta2 }) => `${f(beta2)} * before + ${f(1 - beta2)} * g * g`,
  ({ epsilon }, rootCorrection) => `sqrt(v) / ${rootCorrection} + ${f(epsilon)}`,
);

export const adamax = update(
  'adamax',
  ({ beta2, epsilon }) => `max(${f(beta2)} * before, abs(g) + ${f(epsilon)})`,
  () => 'v',
);

/** A function that gives element i of all the tensors laid end to end. */
function concatenated(tensors: readonly Ref[]): string {
  let start = 0;
  const cases = tensors.map((tensor) => {
    const text = `  if (i < ${u(start + tensor.size)}) { return ${tensor.at(`(i - ${u(start)})`)}; }`;
    start += tensor.size;
    return text;
  });
  return `fn element(i: u32) -> f32 {\n${cases.join('\n')}\n  return 0f;\n}
fn square(x: f32) -> f32 { return x * x; }
`;
}

export const clipByGlobalNorm: Lowering = {
  forward(call: Call) {
    const { maxNorm } = call.attributes as { maxNorm: number };
    const gradients = call.list('gradients');
    const [norm, scale] = [call.output('norm'), call.output('scale')];
    const squares = call.temporary(1);
    totalSum(
      call,
      'clipByGlobalNorm, squares',
      gradients.reduce((count, { size }) => count + size, 0),
      (i) => `square(element(${i}))`,
      (total) => squares.set('0', total),
      () => concatenated(gradients),
    );
    elementwise(
      call,
      'clipByGlobalNorm',
      1,
      () => `let length = sqrt(${squares.at('0')});
  ${norm.set('0', 'length')}
  ${scale.set('0', `select(1f, ${f(maxNorm)} / max(length, ${f(maxNorm)}), length > ${f(maxNorm)})`)}`,
    );
  },
};
