/**
 * @file What both directions of the ELM recurrence share. Names as in ops/elm-scan.ts: layer 0 is driven by `drive` and R,
 * layers 1 … L by W_i; the last gives the update.
 */
import type { ForwardOperation, Tensor } from '../../../../graph/tensor.js';
import { lecunAmplitude, lecunSlope } from '../../../../ops/activations.js';
import type { ElmScanAttributes } from '../../../../ops/elm-scan.js';
import type { Lanes } from '../../layout.js';
import type { Lowering } from '../../lowering.js';
import type { Region } from '../../steps.js';
import { fullList, listWords } from '../listed.js';

interface Layer {
  readonly width: number;
  /** width of what it reads: the layer below, or the memory */
  readonly inputs: number;
}

export interface Scan {
  readonly samples: number;
  readonly steps: number;
  readonly units: number;
  /** layer 0 to L; the last has `units` outputs */
  readonly layers: readonly Layer[];
  readonly lanes: Lanes;
  /** bytes of one feature of a group */
  readonly feature: number;
  readonly attributes: ElmScanAttributes;
  /** Whether hidden units are exactly zero where they are not active: then only the active ones are multiplied. */
  readonly sparse: boolean;
}

export function describe(l: Lowering, forward: ForwardOperation): Scan {
  const [samples, steps, first] = (forward.inputs.drive as Tensor).shape;
  const units = (forward.inputs.decay as Tensor).shape[0];
  const widths = [first, ...(forward.inputs.biases as readonly Tensor[]).map(({ shape }) => shape[0])];
  const layers = widths.map((width, i) => ({ width, inputs: i === 0 ? units : widths[i - 1] }));
  const lanes = l.lanesFor(samples);
  const attributes = forward.attributes as ElmScanAttributes;
  const sparse = attributes.activation !== 'silu';
  return { samples, steps, units, layers, lanes, feature: lanes.vectors * 16, attributes, sparse };
}

export interface Kept {
  /** v_t = κ m_{t−1}, and one row more */
  readonly leaked: Region;
  readonly tanh: Region;
  readonly outs: readonly Region[];
  /** Not kept for relu: its output says it. */
  readonly slopes: readonly (Region | undefined)[];
  /** of each hidden layer, the units that are active in some sample of the group: a list a step, or one for all */
  readonly active: readonly Region[];
}

/** What forward leaves for backward; one row of everything where there is none. */
export function keptRegions(l: Lowering, forward: ForwardOperation, scan: Scan, rows: number): Kept {
  const { layers, units, lanes, attributes, sparse } = scan;
  const hidden = layers.slice(0, -1);
  const rowsOf = (width: number) => rows * width * lanes.width;
  return {
    leaked: l.keep(forward, 'leaked', (rows + 1) * units * lanes.width, lanes),
    tanh: l.keep(forward, 'tanh', rowsOf(units), lanes),
    outs: hidden.map(({ width }, i) => l.keep(forward, `out${i}`, rowsOf(width), lanes)),
    slopes: hidden.map(({ width }, i) =>
      attributes.activation === 'relu' ? undefined : l.keep(forward, `slope${i}`, rowsOf(width), lanes),
    ),
    active: hidden.map(({ width }, i) =>
      sparse ? l.keep(forward, `active${i}`, rows * listWords(width), lanes) : l.constant(everyUnit(width)),
    ),
  };
}

const lists = new Map<number, Int32Array>();

/** The same array for the same width, and so the same region. */
function everyUnit(width: number): Int32Array {
  const list = lists.get(width) ?? fullList(width);
  lists.set(width, list);
  return list;
}

export const squashOf = ({ squash }: ElmScanAttributes) =>
  squash === 'tanh' ? { amplitude: 1, slope: 1 } : { amplitude: lecunAmplitude, slope: lecunSlope };
