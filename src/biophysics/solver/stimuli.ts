/** @file Injected currents as functions of time (nA, ms), and what is read off a voltage trace. */

/** `amplitudeNa` from `startMs` on for `durationMs`. */
export function pulse(amplitudeNa: number, startMs: number, durationMs: number): (timeMs: number) => number {
  return (t) => (t >= startMs && t < startMs + durationMs ? amplitudeNa : 0);
}

/** Several pulses, the n-th beginning at startMs + n·1000/frequencyHz. */
export function pulseTrain(
  amplitudeNa: number,
  {
    startMs,
    durationMs,
    frequencyHz,
    count,
  }: { startMs: number; durationMs: number; frequencyHz: number; count: number },
): (timeMs: number) => number {
  const pulses = Array.from({ length: count }, (_, n) =>
    pulse(amplitudeNa, startMs + (n * 1000) / frequencyHz, durationMs),
  );
  return (t) => pulses.reduce((sum, one) => sum + one(t), 0);
}

/**
 * A current shaped like an EPSP: from `startMs` on A ((1 − e^(−s/τ_decay)) − (1 − e^(−s/τ_rise))) with s the time since,
 * scaled so that its peak is `peakNa`.
 */
export function epspCurrent(
  peakNa: number,
  startMs: number,
  tauRiseMs = 0.5,
  tauDecayMs = 5,
): (timeMs: number) => number {
  const shape = (s: number) => Math.exp(-s / tauDecayMs) - Math.exp(-s / tauRiseMs);
  const peak = (tauRiseMs * tauDecayMs * Math.log(tauRiseMs / tauDecayMs)) / (tauRiseMs - tauDecayMs);
  const scale = peakNa / shape(peak);
  return (t) => (t > startMs ? scale * shape(t - startMs) : 0);
}

/** Times at which a trace rises through a threshold: of the first sample at or above it. */
export function crossings(trace: ArrayLike<number>, thresholdMv: number, sampleMs: number): number[] {
  const times: number[] = [];
  for (let i = 1; i < trace.length; i++) {
    if (trace[i - 1] < thresholdMv && trace[i] >= thresholdMv) times.push(i * sampleMs);
  }
  return times;
}

/** Times of the local maxima of a trace above a threshold: NeuronIO's output spikes. */
export function peaks(trace: ArrayLike<number>, thresholdMv: number, sampleMs: number): number[] {
  const times: number[] = [];
  for (let i = 1; i < trace.length - 1; i++) {
    if (trace[i] > thresholdMv && trace[i] > trace[i - 1] && trace[i] > trace[i + 1]) times.push(i * sampleMs);
  }
  return times;
}
