/** @file Lowerings of the losses: a sum over all elements, and one invocation per element backward. */
import type { SoftmaxCrossEntropyAttributes } from '../../../ops/losses.js';
import { type Call, elementwise, type Lowering } from '../builder.js';
import { f, u } from '../wgsl.js';
import { columnSums, totalSum } from './column-sums.js';

export const bceWithLogits: Lowering = {
  forward(call) {
    const [logits, target, loss] = [call.input('logits'), call.input('target'), call.output('loss')];
    totalSum(
      call,
      'bceWithLogits',
      logits.size,
      (i) => `bce(${logits.at(i)}, ${target.at(i)})`,
      (total) => loss.set('0', `${total} / ${f(logits.size)}`),
      () => 'fn bce(x: f32, z: f32) -> f32 { return softplus(x) - x * z; }\n',
    );
  },
  backward(call) {
    const [logits, target] = [call.input('logits'), call.input('target')];
    const [dLoss, dLogits] = [call.seed('loss'), call.into('logits')];
    if (!dLogits) return;
    elementwise(call, 'bceWithLogits, backward', dLogits.size, (i) =>
      dLogits.set(i, `${dLoss.at('0')} / ${f(dLogits.size)} * (sigmoid(${logits.at(i)}) - ${target.at(i)})`),
    );
  },
};

export const meanSquaredError: Lowering = {
  forward(call) {
    const [prediction, target, loss] = [call.input('prediction'), call.input('target'), call.output('loss')];
    totalSum(
      call,
      'meanSquaredError',
      prediction.size,
      (i) => `squared(${prediction.at(i)} - ${target.at(i)})`,
      (total) => loss.set('0', `${total} / ${f(prediction.size)}`),
      () => 'fn squared(x: f32) -> f32 { return x * x; }\n',
    );
  },
  backward(call) {
    const [prediction, target] = [call.input('prediction'), call.input('target')];
    const [dLoss, dPrediction] = [call.seed('loss'), call.into('prediction')];
    if (!dPrediction) return;
    elementwise(call, 'meanSquaredError, backward', dPrediction.size, (i) =>
      dPrediction.set(i, `${dLoss.at('0')} * ${f(2 / dPrediction.size)} * (${prediction.at(i)} - ${target.at(i)})`),
    );
  },
};

/** A function logSumExp(row) over the classes, and how many there are. */
function logSumExp(call: Call) {
  const shape = call.shape('logits');
  const classes = shape[shape.length - 1];
  const logits = call.input('logits');
  const declarations = () => `fn logSumExp(row: u32) -> f32 {
  var largest = ${logits.at(`row * ${u(classes)}`)};
  for (var k = 1u; k < ${u(classes)}; k++) { largest = max(largest, ${logits.at(`row * ${u(classes)} + k`)}); }
  var total = 0f;
  for (var k = 0u; k < ${u(classes)}; k++) { total += exp(${logits.at(`row * ${u(classes)} + k`)} - largest); }
  return largest + log(total);
}
`;
  return { classes, logits, declarations };
}

export const softmaxCrossEntropy: Lowering = {
  forward(call) {
    const { smoothing = 0 } = call.attributes as SoftmaxCrossEntropyAttributes;
    const { classes, logits, declarations } = logSumExp(call);
    const [labels, loss] = [call.input('labels'), call.output('loss')];
    const counted = call.kept('counted', 1);
    const sums = call.temporary(2);
    columnSums(call, {
      label: 'softmaxCrossEntropy',
      rows: labels.size,
      columns: 2,
      declarations: () => `${declarations()}
fn term(row: u32, column: u32) -> f32 {
  let label = bitcast<i32>(${labels.bits('row')});
  if (label < 0) { return 0f; }
  if (column == 1u) { return 1f; }
  var mean = 0f;
  for (var k = 0u; k < ${u(classes)}; k++) { mean += ${logits.at(`row * ${u(classes)} + k`)}; }
  let own = ${logits.at(`row * ${u(classes)} + u32(label)`)};
  return logSumExp(row) - ${f(1 - smoothing)} * own - ${f(smoothing / classes)} * mean;
}
`,
      term: (row, column) => `term(${row}, ${column})`,
      write: (column, total) => sums.set(column, total),
    });
    elementwise(
      call,
      'softmaxCrossEntropy, mean',
      1,
      () => `${counted.set('0', sums.at('1'))}
  ${loss.set('0', `${sums.at('0')} / max(${sums.at('1')}, 1f)`)}`,
    );
  },
  backward(call) {
    const { smoothing = 0 } = call.attributes as SoftmaxCrossEntropyAttributes;
    const { classes, logits, declarations } = logSumExp(call);
    const [labels, dLoss, dLogits] = [call.input('labels'), call.seed('loss'), call.into('logits')];
    const counted = call.kept('counted', 1);
    if (!dLogits) return;
    elementwise(
      call,
      'softmaxCrossEntropy, backward',
      labels.size,
      (row) => `let label = bitcast<i32>(${labels.bits(row)});
  let factor = select(${dLoss.at('0')} / max(${counted.at('0')}, 1f), 0f, label < 0);
  let logSum = logSumExp(${row});
  for (var k = 0u; k < ${u(classes)}; k++) {
    let wanted = select(0f, ${f(1 - smoothing)}, i32(k) == label) + ${f(smoothing / classes)};
    ${dLogits.set(`${row} * ${u(classes)} + k`, `factor * (exp(${logits.at(`${row} * ${u(classes)} + k`)} - logSum) - wanted)`)}
  }`,
      declarations,
    );
  },
};
