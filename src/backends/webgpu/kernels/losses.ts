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

/** Lanes that share a row of logits. */
const rowLanes = 32;

/** log Σ exp of every row, made by the forward call, and where the logits and their classes are. */
function rowsOf(call: Call) {
  const shape = call.shape('logits');
  const classes = shape[shape.length - 1];
  const labels = call.input('labels');
  const logSums = call.kept('logSums', labels.size);
  return { classes, labels, logits: call.input('logits'), logSums, counted: call.kept('counted', 1) };
}

export const softmaxCrossEntropy: Lowering = {
  forward(call) {
    const { smoothing = 0 } = call.attributes as SoftmaxCrossEntropyAttributes;
    const { classes, labels, logits, logSums, counted } = rowsOf(call);
    const loss = call.output('loss');
    const [errors, sums] = [call.temporary(labels.size), call.temporary(2)];
    const each = (text: string) =>
      `for (var k = inRow; k < ${u(classes)}; k += ${u(rowLanes)}) { let x = ${logits.at(`row * ${u(classes)} + k`)}; ${text} }`;
    /** After it the first lane of a row has all of its lanes in one. */
    const across = (operation: (a: string, b: string) => string) => `
  for (var half = ${u(rowLanes / 2)}; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (inRow < half) { parts[lane] = ${operation('parts[lane]', 'parts[lane + half]')}; }
  }
  workgroupBarrier();`;
    const threads = 128;
    call.kernel({
      label: 'softmaxCrossEntropy, rows',
      groups: Math.ceil((labels.size * rowLanes) / threads),
      threads,
      declarations: () => `var<workgroup> parts: array<f32, ${threads}>;\n`,
      // Lanes past the last row do it again and write nothing.
      body: () => `  let inRow = lane % ${u(rowLanes)};
  let own = group * ${u(threads / rowLanes)} + lane / ${u(rowLanes)};
  let row = min(own, ${u(labels.size - 1)});
  let first = lane - inRow;
  var largest = -3.4e38f;
  var mean = 0f;
  ${each(`largest = max(largest, x); mean += x;`)}
  parts[lane] = largest;${across((a, b) => `max(${a}, ${b})`)}
  largest = parts[first];
  workgroupBarrier();
  var total = 0f;
  ${each('total += exp(x - largest);')}
  parts[lane] = total;${across((a, b) => `${a} + ${b}`)}
  let logSum = largest + log(parts[first]);
  workgroupBarrier();
  parts[lane] = mean;${across((a, b) => `${a} + ${b}`)}
  if (inRow == 0u && own == row) {
    let label = bitcast<i32>(${labels.bits('row')});
    let right = ${logits.at(`row * ${u(classes)} + u32(max(label, 0))`)};
    ${logSums.set('row', 'logSum')}
    ${errors.set('row', `select(logSum - ${f(1 - smoothing)} * right - ${f(smoothing / classes)} * parts[lane], 0f, label < 0)`)}
  }`,
    });
    columnSums(call, {
      label: 'softmaxCrossEntropy',
      rows: labels.size,
      columns: 2,
      term: (row, column) =>
        `select(${errors.at(row)}, select(0f, 1f, bitcast<i32>(${labels.bits(row)}) >= 0), ${column} == 1u)`,
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
    const { classes, labels, logits, logSums, counted } = rowsOf(call);
    const [dLoss, dLogits] = [call.seed('loss'), call.into('logits')];
    if (!dLogits) return;
    elementwise(
      call,
      'softmaxCrossEntropy, backward',
      dLogits.size,
      (i) => `let row = ${i} / ${u(classes)};
  let label = bitcast<i32>(${labels.bits('row')});
  let factor = select(${dLoss.at('0')} / max(${counted.at('0')}, 1f), 0f, label < 0);
  let wanted = select(0f, ${f(1 - smoothing)}, i32(${i} % ${u(classes)}) == label) + ${f(smoothing / classes)};
  ${dLogits.set(i, `factor * (exp(${logits.at(i)} - ${logSums.at('row')}) - wanted)`)}`,
    );
  },
};
