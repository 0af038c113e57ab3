/**
 * @file The auditory nerve fibres of a hair cell: in every step each of 40 fires with the cell's probability, and a firing
 * less than 1 ms after the fibre's last kept one is deleted (docs/cochlea.md 5). Here fibre by fibre, as the original;
 * `cells-kernel.ts` draws how many of them fire, which is the same in law.
 */
import { fibresPerCell } from './bushy-cell.js';
import type { MersenneTwister } from './mersenne-twister.js';

const deadS = 0.001;

/** Steps after a firing in which a fibre can't fire again. */
export function deadSteps(rateHz: number): number {
  return Math.ceil(deadS * rateHz) - 1;
}

/** Draws the firings of one channel: `firings[n]` becomes the number of fibres that fire in step n, 0 … 40. */
export type DrawFirings = (p: Float64Array, rateHz: number, firings: Uint8Array) => void;

/** As the original: a fibre fires where the next double of the generator is below p; steps, then fibres. */
export function firingsFromTwister(
  twister: MersenneTwister,
  onFiring?: (n: number, fibre: number) => void,
): DrawFirings {
  const last = new Float64Array(fibresPerCell);
  const hits = new Int32Array(fibresPerCell);
  return (p, rateHz, firings) => {
    const dead = deadS * rateHz;
    last.fill(-dead);
    for (let n = 0; n < p.length; n++) {
      let count = 0;
      const found = twister.below(p[n], fibresPerCell, hits);
      for (let i = 0; i < found; i++) {
        const fibre = hits[i];
        if (n - last[fibre] < dead) continue;
        last[fibre] = n;
        count++;
        onFiring?.(n, fibre);
      }
      firings[n] = count;
    }
  };
}
