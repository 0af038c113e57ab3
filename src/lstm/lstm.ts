/**
 * @file A long short-term memory layer with a linear read-out: the recurrent network that neurons are compared with.
 *
 *     a_t = W x_t + b + R h_{t−1}       h, c = lstmScan(a)       y_t = W_y h_t + b_y
 *
 * Biases start by the chrono rule (Tallec and Ollivier, ICLR 2018): b_f = ln u with u from U(1, T − 1), b_i = −b_f, so that
 * the units begin with memories of all lengths up to T steps.
 *
 * | name | shape | initial |
 * |---|---|---|
 * | `lstm.weight_ih_l0` | [4H, I] | U(±1/√H) |
 * | `lstm.weight_hh_l0` | [4H, H] | U(±1/√H) |
 * | `lstm.bias_ih_l0` | [4H] | chrono; candidate and output gate 0 |
 * | `readout.weight`, `readout.bias` | [O, H], [O] | U(±1/√H) |
 *
 * Names and the order of the gates (input, forget, candidate, output) are PyTorch's; its second bias, `bias_hh_l0`, adds
 * nothing that the first cannot do and is left out.
 */
import { type NumericTensor, type Shape, sizeOf } from '../base/arrays.js';
import { requireModelSize } from '../base/model-size.js';
import { parseOptions, schema as v } from '../base/options.js';
import { Stream } from '../base/random.js';
import { apply, type Tensor, variable } from '../graph/index.js';
import { linear } from '../ops/linear.js';
import { lstmScan } from '../ops/lstm-scan.js';
import { slice } from '../ops/slice.js';

const count = (minimum: number) =>
  v.pipe(v.number(), v.integer('to be a whole number'), v.minValue(minimum, `to be at least ${minimum}`));

const optionsSchema = v.strictObject({
  /** width of the input, I */
  inputs: count(1),
  /** width of the output, O; default 1 */
  outputs: v.optional(count(1), 1),
  /** H; default 100 */
  hidden: v.optional(count(1), 100),
  /** T of the chrono rule: the longest dependency to expect, in steps, above 2; default 1000 */
  longestSteps: v.optional(v.pipe(v.number(), v.finite('to be finite'), v.gtValue(2, 'to be above 2')), 1000),
});

export type LstmOptions = v.InferInput<typeof optionsSchema>;
export type LstmConfig = Readonly<v.InferOutput<typeof optionsSchema>>;
export type LstmParameters = Map<string, NumericTensor>;

const inputWeight = 'lstm.weight_ih_l0';
const recurrentWeight = 'lstm.weight_hh_l0';
const gateBias = 'lstm.bias_ih_l0';
const readoutWeight = 'readout.weight';
const readoutBias = 'readout.bias';

/** Name and shape of every parameter. */
export function lstmShapes({ inputs, outputs, hidden }: LstmConfig): Map<string, Shape> {
  return new Map<string, Shape>([
    [inputWeight, [4 * hidden, inputs]],
    [recurrentWeight, [4 * hidden, hidden]],
    [gateBias, [4 * hidden]],
    [readoutWeight, [outputs, hidden]],
    [readoutBias, [outputs]],
  ]);
}

/** 4H(I + H + 1) + O(H + 1) */
export function lstmParameterCount(config: LstmConfig): number {
  return [...lstmShapes(config).values()].reduce((sum, shape) => sum + sizeOf(shape), 0);
}

/** The hidden units with which an LSTM comes nearest to so many parameters. */
export function matchedHidden(parameters: number, inputs: number, outputs: number): number {
  const countOf = (hidden: number) => lstmParameterCount(parseLstm({ inputs, outputs, hidden }));
  let hidden = 1;
  while (countOf(hidden + 1) <= parameters) hidden++;
  return parameters - countOf(hidden) <= countOf(hidden + 1) - parameters ? hidden : hidden + 1;
}

function parseLstm(options: LstmOptions): LstmConfig {
  return parseOptions('Lstm.create', optionsSchema, options);
}

export interface LstmTensors {
  /** h [B, T, H] */
  readonly hidden: Tensor;
  /** c [B, T, H] */
  readonly cell: Tensor;
  /** h after the last step, [B, H] */
  readonly lastHidden: Tensor;
}

/** A layer of H units and its read-out. */
export class Lstm {
  readonly config: LstmConfig;
  /** by name; see the file's table */
  readonly parameters: LstmParameters;

  constructor(parts: { config: LstmConfig; parameters: LstmParameters }) {
    this.config = parts.config;
    this.parameters = parts.parameters;
  }

  /** A fresh network. The same options and seed give the same one. */
  static create(options: LstmOptions, seed = 0): Lstm {
    const config = parseLstm(options);
    requireModelSize('Lstm.create', config, ['hidden', 'inputs'], lstmParameterCount);
    const parameters: LstmParameters = new Map();
    for (const [name, shape] of lstmShapes(config)) {
      const stream = new Stream(seed, `lstm.initialise.${name}`);
      parameters.set(name, { shape, data: initialValues(config, name, sizeOf(shape), stream) });
    }
    return new Lstm({ config, parameters });
  }

  get parameterCount(): number {
    return lstmParameterCount(this.config);
  }

  /**
   * Records the layer on an input.
   *
   * @param x events or float [B, T, I]
   * @param parameters one tensor per parameter name
   * @param mask [B, H], multiplies h before it is fed back (recurrent dropout); default none
   */
  trace(x: Tensor, parameters: Readonly<Record<string, Tensor>>, mask?: Tensor): LstmTensors {
    const drive = apply(linear, { x, weight: parameters[inputWeight], bias: parameters[gateBias] }).y;
    const { hidden, cell } = apply(lstmScan, { drive, recurrent: parameters[recurrentWeight], mask });
    const steps = x.shape[1];
    const lastHidden = apply(slice, { x: hidden }, { axis: 1, start: steps - 1, end: steps, squeeze: true }).y;
    return { hidden, cell, lastHidden };
  }

  /** y = W_y h + b_y, for hidden states [.., H]. */
  readOut(hidden: Tensor, parameters: Readonly<Record<string, Tensor>>): Tensor {
    return apply(linear, { x: hidden, weight: parameters[readoutWeight], bias: parameters[readoutBias] }).y;
  }

  /** Session variables for every parameter. */
  variables(): Record<string, Tensor> {
    return Object.fromEntries([...lstmShapes(this.config)].map(([name, shape]) => [name, variable(name, shape)]));
  }
}

function initialValues(
  { hidden, longestSteps }: LstmConfig,
  name: string,
  length: number,
  stream: Stream,
): Float32Array {
  if (name !== gateBias) {
    const limit = 1 / Math.sqrt(hidden);
    return Float32Array.from({ length }, () => stream.uniform(-limit, limit));
  }
  const bias = new Float32Array(length);
  for (let unit = 0; unit < hidden; unit++) {
    const forget = Math.log(stream.uniform(1, longestSteps - 1));
    bias[unit] = -forget;
    bias[hidden + unit] = forget;
  }
  return bias;
}
