/**
 * @file The synaptic input of one NeuronIO simulation, drawn by the published rule (Beniaguev, Segev and London 2021): the
 * rate of every tree changes in blocks, is spread over its segments by their length and a random factor, smoothed in
 * time, and makes spikes at whole milliseconds, at most one per synapse and millisecond.
 *
 * The published code draws p ~ Exponential(mean r) and spikes where a uniform number lies below p. That happens with
 * probability E[min(p, 1)] = r (1 − e^(−1/r)), which is drawn here at once.
 */
import { inputError, requireInteger } from '../../base/errors.js';
import { Stream } from '../../base/random.js';
import type { Discretisation } from '../morphology/segments.js';
import { LowDraws } from './draws.js';

/** Ranges of spikes per tree per 100 ms: excitation, and by how much inhibition may differ from it. */
export interface InputRanges {
  readonly basal: { readonly excitation: readonly [number, number]; readonly difference: readonly [number, number] };
  readonly apical: { readonly excitation: readonly [number, number]; readonly difference: readonly [number, number] };
}

/** The published ranges for synapses with AMPA and NMDA. */
export const publishedRanges: InputRanges = {
  basal: { excitation: [0, 800], difference: [-600, 200] },
  apical: { excitation: [0, 800], difference: [-600, 200] },
};

export interface InputOptions {
  seed: number;
  /** Whole ms; default 6000. */
  durationMs?: number;
  ranges?: InputRanges;
}

export interface DrawnInputs {
  /** Of every spike, sorted by time: 0 … S−1 excitatory on that dendritic segment, S + segment inhibitory. */
  readonly channels: Uint16Array;
  readonly timesMs: Uint16Array;
  /** How long rates stayed constant before smoothing, and the smoothing's width. */
  readonly blockMs: number;
  readonly sigmaMs: number;
}

const blockChoices = [25, 30, 35, 40, 45, 55, 60, 65, 70, 75, 80, 85, 90, 100, 150, 200, 300, 450];
const sigmaChoices = [25, 30, 35, 40, 50, 60, 80, 100, 150, 200, 300, 400, 500, 600];
/** Added to every segment's length when rates are spread, µm. */
const extraUm = 10;

/** The dendritic segments in the order of the channels: basal, then apical, as in the cell. */
export function dendriticSegments(cell: Discretisation): Int32Array {
  const indices = cell.segments.map((_, index) => index);
  const of = (region: string) => indices.filter((index) => cell.segments[index].region === region);
  return Int32Array.from([...of('basal'), ...of('apical')]);
}

/** Draws the input of the simulation with this seed. */
export function drawInputs(cell: Discretisation, options: InputOptions): DrawnInputs {
  const { seed, durationMs = 6000, ranges = publishedRanges } = options;
  requireInteger('drawInputs', 'seed', seed, { minimum: 0 });
  requireInteger('drawInputs', 'durationMs', durationMs, { minimum: 1, maximum: 65535 });
  const dendrites = dendriticSegments(cell);
  const count = dendrites.length;
  const basal = cell.segments.filter(({ region }) => region === 'basal').length;
  if (basal === 0 || basal === count || 2 * count > 65536) {
    throw inputError(
      'drawInputs',
      'a cell with basal and apical segments, at most 32768',
      `${basal} and ${count - basal}`,
    );
  }
  const shape = new Stream(seed, 'neuronio.shape');
  const pick = (choices: readonly number[]) =>
    choices[shape.integer(choices.length)] + Math.trunc(shape.uniform(-20, 20));
  const blockMs = pick(blockChoices);
  const sigmaMs = pick(sigmaChoices);
  const blocks = Math.ceil(durationMs / blockMs);

  // Rates per channel and block: [2·count, blocks].
  const rates = new Float64Array(2 * count * blocks);
  for (const [tree, from, to] of [
    ['basal', 0, basal],
    ['apical', basal, count],
  ] as const) {
    const { excitation, difference } = ranges[tree];
    const lengths = Float64Array.from(dendrites.subarray(from, to), (i) => cell.segments[i].lengthUm + extraUm);
    const perSpike = 1 / (lengths.reduce((sum, length) => sum + length, 0) * 100);
    const draw = new Stream(seed, `neuronio.${tree}`);
    for (let block = 0; block < blocks; block++) {
      const ex = draw.uniform(...excitation);
      const inh = draw.uniform(Math.max(0, ex + difference[0]), ex + difference[1]);
      for (let k = from; k < to; k++) {
        const perLength = lengths[k - from] * perSpike;
        rates[k * blocks + block] = ex * perLength * draw.uniform(0.5, 1.5);
        rates[(count + k) * blocks + block] = inh * perLength * draw.uniform(0.5, 1.5);
      }
    }
  }

  // Spikes: a uniform number below a probability that is never above the largest rate of the channel.
  const { firsts, starts, weights } = blockWeights(durationMs, blockMs, blocks, sigmaMs);
  const draws = new LowDraws(durationMs);
  const spikesAt = new Uint32Array(durationMs + 1);
  const found: number[] = [];
  for (let channel = 0; channel < 2 * count; channel++) {
    const ownAt = channel * blocks;
    const own = rates.subarray(ownAt, ownAt + blocks);
    // Weights of blocks sum to 1 at most; the excess covers the rounding of the sum.
    const most = own.reduce((a, b) => Math.max(a, b), 0) * (1 + 1e-9);
    const low = draws.find(seed, 'neuronio.spikes', channel, Math.min(Math.floor(most * 2 ** 32), 2 ** 32 - 1));
    for (let i = 0; i < low.length; i += 2) {
      const t = low[i];
      let rate = 0;
      for (let k = starts[t], block = ownAt + firsts[t]; k < starts[t + 1]; k++, block++)
        rate += weights[k] * rates[block];
      // The probability r (1 − e^(−1/r)) is at most r, and indistinguishable from it where r is small.
      const drawn = low[i + 1] / 2 ** 32;
      if (drawn < rate && (rate <= 0.02 || drawn < rate * -Math.expm1(-1 / rate))) {
        spikesAt[t + 1]++;
        found.push(t, channel);
      }
    }
  }
  for (let t = 0; t < durationMs; t++) spikesAt[t + 1] += spikesAt[t];
  const channels = new Uint16Array(found.length / 2);
  const timesMs = new Uint16Array(found.length / 2);
  for (let i = 0; i < found.length; i += 2) {
    const place = spikesAt[found[i]]++;
    channels[place] = found[i + 1];
    timesMs[place] = found[i];
  }
  return { channels, timesMs, blockMs, sigmaMs };
}

/**
 * What every block contributes to the smoothed rate at each millisecond, beyond both ends the rate counts as 0: at time t
 * `weights[starts[t]…]` for the blocks from `firsts[t]` on, up to `starts[t + 1]`.
 */
function blockWeights(durationMs: number, blockMs: number, blocks: number, sigmaMs: number) {
  // A window of 1 + 7σ points around its middle, as scipy's; `same` convolution.
  const points = 1 + 7 * sigmaMs;
  const middle = (points - 1) / 2;
  const window = Float64Array.from({ length: points }, (_, i) => Math.exp(-0.5 * ((i - middle) / sigmaMs) ** 2));
  const total = window.reduce((sum, w) => sum + w, 0);
  const upTo = new Float64Array(points + 1);
  for (let i = 0; i < points; i++) upTo[i + 1] = upTo[i] + window[i] / total;
  const clamp = (i: number) => Math.max(0, Math.min(points, i));
  const shift = Math.floor((points - 1) / 2);
  const firsts = new Uint16Array(durationMs);
  const starts = new Uint32Array(durationMs + 1);
  const weights = new Float64Array(durationMs * Math.min(blocks, Math.ceil(points / blockMs) + 1));
  for (let t = 0; t < durationMs; t++) {
    // Output t takes input s with window index t + shift − s.
    const lowest = Math.max(0, t + shift - (points - 1));
    const highest = Math.min(durationMs - 1, t + shift);
    const first = Math.floor(lowest / blockMs);
    const last = Math.min(blocks - 1, Math.floor(highest / blockMs));
    firsts[t] = first;
    starts[t + 1] = starts[t] + last - first + 1;
    for (let block = first; block <= last; block++) {
      const from = block * blockMs;
      const to = Math.min(durationMs, from + blockMs);
      weights[starts[t] + block - first] = upTo[clamp(t + shift - from + 1)] - upTo[clamp(t + shift - to + 1)];
    }
  }
  return { firsts, starts, weights };
}
