/**
 * @file The leak of a selective memory. A Mamba state keeps κ_t = exp(Δ_t A) of itself over a step, with a rate −A of its
 * own and a step Δ_t chosen by the input: log κ_t = Δ_t A, which is what retention.ts works on. (An ELM memory has A = −1/τ and
 * Δ_t = dt always.)
 */

/** log κ = Δ A of one step. */
export function selectiveLogDecay(delta: number, rate: number): number {
  return delta * rate;
}

/** log κ_t = Δ_t A of every step, for one rate A < 0. */
export function selectiveLogDecays(deltas: ArrayLike<number>, rate: number): Float64Array {
  return Float64Array.from(deltas, (delta) => selectiveLogDecay(delta, rate));
}
