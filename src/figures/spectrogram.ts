/** @file The power of a sound over time at given frequencies, in dB below the loudest. */
import { PowerOfTwoFft } from '../cochlea/fft.js';

export interface Spectrogram {
  readonly rows: number;
  readonly columns: number;
  /** Left end of the first column, and width of a column, ms. */
  readonly fromMs: number;
  readonly stepMs: number;
  /** At row × columns + column, 0 for the loudest, −∞ for silence. */
  readonly decibels: Float64Array;
}

const windowS = 0.025;

/**
 * Hann windows of 25 ms, one for each column. A row stands for as many of `frequenciesHz` as fall to it, and shows the mean
 * power density between the lowest and the highest of them; what lies above half of `rateHz` is silent.
 *
 * @param frequenciesHz falling; @param toMs end of the last column; the sound may end before
 */
export function spectrogram(
  samples: ArrayLike<number>,
  rateHz: number,
  frequenciesHz: ArrayLike<number>,
  { toMs, columns, rows: most }: { toMs: number; columns: number; rows: number },
): Spectrogram {
  const rows = Math.min(most, frequenciesHz.length);
  const length = Math.max(2, Math.round(windowS * rateHz));
  // At least four times the window, so that frequencies between its own are there.
  const points = 2 ** Math.ceil(Math.log2(4 * length));
  const fft = new PowerOfTwoFft(points);
  const hann = Float64Array.from({ length }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * (n + 0.5)) / length));
  const bins = rowBins(frequenciesHz, rows, rateHz, points);
  const decibels = new Float64Array(rows * columns);
  const [re, im] = [new Float64Array(points), new Float64Array(points)];
  let loudest = 0;
  for (let column = 0; column < columns; column++) {
    re.fill(0);
    im.fill(0);
    const start = Math.round((((column + 0.5) * toMs) / columns / 1000) * rateHz - length / 2);
    for (let n = Math.max(0, -start); n < length && start + n < samples.length; n++) {
      re[n] = samples[start + n] * hann[n];
    }
    fft.forward(re, im);
    for (const [row, [low, high]] of bins.entries()) {
      let sum = 0;
      for (let k = low; k <= high; k++) sum += re[fft.position[k]] ** 2 + im[fft.position[k]] ** 2;
      const power = high >= low ? sum / (high - low + 1) : 0;
      decibels[row * columns + column] = power;
      loudest = Math.max(loudest, power);
    }
  }
  for (let i = 0; i < decibels.length; i++) {
    decibels[i] = loudest > 0 ? 10 * Math.log10(decibels[i] / loudest) : Number.NEGATIVE_INFINITY;
  }
  return { rows, columns, fromMs: 0, stepMs: toMs / columns, decibels };
}

/** First and last bin of each row; none where it lies above half the rate. */
function rowBins(frequenciesHz: ArrayLike<number>, rows: number, rateHz: number, points: number): [number, number][] {
  const count = frequenciesHz.length;
  return Array.from({ length: rows }, (_, row) => {
    const first = Math.floor((row * count) / rows);
    const last = Math.max(first, Math.floor(((row + 1) * count) / rows) - 1);
    const high = Math.min(Math.round((frequenciesHz[first] * points) / rateHz), points / 2);
    const low = Math.round((frequenciesHz[last] * points) / rateHz);
    return [Math.min(low, frequenciesHz[last] > rateHz / 2 ? points : high), high];
  });
}
