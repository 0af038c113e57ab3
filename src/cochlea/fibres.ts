/**
 * @file The auditory nerve fibres of a hair cell: in every step each of 40 fires with the cell's probability, and a firing
 * less than 1 ms after the fibre's last kept one is deleted (docs/cochlea.md 5). Two ways to draw, the same in law:
 * one uniform number per fibre and step, as the original; or one exponential number per firing.
 */
import type { Stream } from '../base/random.js';
import { fibresPerCell } from './bushy-cell.js';
import type { MersenneTwister } from './mersenne-twister.js';

const deadS = 0.001;

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

/**
 * From a keyed stream. The trials of all fibres in all steps, in order, are one sequence; with hazards −ln(1 − p) a firing
 * comes where their sum reaches an exponential number. That is exact, and costs one draw per firing instead of 40 a step.
 */
export function firingsFromStream(stream: Stream): DrawFirings {
  const last = new Float64Array(fibresPerCell);
  // 1 − uniform lies in (0, 1].
  const wait = () => -Math.log(1 - stream.uniform());
  return (p, rateHz, firings) => {
    const dead = deadS * rateHz;
    last.fill(-dead);
    let left = wait();
    for (let n = 0; n < p.length; n++) {
      const hazard = hazardOf(p[n]);
      const all = fibresPerCell * hazard;
      // NaN, the original's silence, passes here too.
      if (!(left < all)) {
        firings[n] = 0;
        if (all > 0) left -= all;
        continue;
      }
      let count = 0;
      for (let fibre = 0; ; fibre++) {
        const skipped = Math.floor(left / hazard);
        if (fibre + skipped >= fibresPerCell) {
          left -= (fibresPerCell - fibre) * hazard;
          break;
        }
        fibre += skipped;
        if (n - last[fibre] >= dead) {
          last[fibre] = n;
          count++;
        }
        left = wait();
        // With certain firing (p ≥ 1) the hazard is infinite and nothing is ever left to wait for.
        if (fibre === fibresPerCell - 1) break;
      }
      firings[n] = count;
    }
  };
}

/** −ln(1 − p); below 0.02 its series, relative error under 1e-11. */
function hazardOf(p: number): number {
  if (p < 0.02) return p * (1 + p * (1 / 2 + p * (1 / 3 + p * (1 / 4 + p * (1 / 5 + p / 6)))));
  return p >= 1 ? Number.POSITIVE_INFINITY : -Math.log1p(-p);
}
