/**
 * @file The bushy cell: one leaky integrate-and-fire cell per channel, driven by the 40 fibres of its hair cell
 * (docs/cochlea.md 6). Threshold 1, reset 0.
 */

/** Fibres of one hair cell. */
export const fibresPerCell = 40;
const membraneS = 0.001;
const synapseS = 0.0005;
const refractoryS = 0.001;
/** Summed over the fibres, s⁻¹. */
const weight = 13000;

/** The cell's constants at a number of steps per second: decays of voltage and current, rest in steps, W dt. */
export function bushyConstants(rateHz: number) {
  const dt = 1 / rateHz;
  return {
    leak: Math.exp(-dt / membraneS),
    fall: Math.exp(-dt / synapseS),
    pause: refractoryS * rateHz,
    gain: (weight / fibresPerCell) * dt,
  };
}

/**
 * Steps at which the cell spikes. Each step: what was at threshold becomes a spike of the step before and rests; then the
 * current decays by exp(−dt/0.5 ms) and gains the firings, undecayed; the voltage decays by exp(−dt/1 ms) and gains
 * W dt I, unless the cell rests (1 ms). A crossing in the last step is lost, as in the original.
 *
 * @param firings number of fibres firing in every step
 * @param rateHz steps per second
 * @param spikes where the steps go; at least as long as `firings`
 * @param voltage where the voltage of every step goes, if wanted
 * @returns the number of spikes
 */
export function bushyCell(firings: Uint8Array, rateHz: number, spikes: Int32Array, voltage?: Float64Array): number {
  const { leak, fall, pause, gain } = bushyConstants(rateHz);
  let v = 0;
  let current = 0;
  let resting = 0;
  let count = 0;
  for (let n = 0; n < firings.length; n++) {
    let next = 0;
    if (resting <= 0 && n > 0) {
      if (v < 1) next = v * leak;
      else {
        spikes[count++] = n - 1;
        resting = pause;
      }
    }
    current = current * fall + firings[n];
    if (resting <= 0) next += gain * current;
    v = next > 1 ? 1 : next;
    resting--;
    if (voltage) voltage[n] = v;
  }
  return count;
}
