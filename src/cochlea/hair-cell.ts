/**
 * @file The inner hair cell of Meddis (JASA 79, 702, 1986 and 83, 1056, 1988; docs/cochlea.md 4): transmitter goes from the
 * cell into the cleft, is taken up, reprocessed and returned. Rates in s⁻¹.
 */

export interface HairCellParameters {
  /** permeability offset, in units of membrane velocity */
  readonly A: number;
  /** permeability half-value */
  readonly B: number;
  /** maximal release rate */
  readonly g: number;
  /** replenishment */
  readonly y: number;
  /** loss from the cleft */
  readonly l: number;
  /** reuptake */
  readonly r: number;
  /** reprocessing */
  readonly x: number;
  /** most free transmitter */
  readonly m: number;
  /** firing rate per unit of transmitter in the cleft */
  readonly h: number;
}

/** `original`: as in the code that made SHD, resting rate 64.8 s⁻¹; `paper`: the set reported for the article, 41.5 s⁻¹. */
export const hairCells = {
  original: { A: 5, B: 300, g: 2000, y: 5.05, l: 2500, r: 6580, x: 66.3, m: 1, h: 50000 },
  paper: { A: 5, B: 300, g: 1000, y: 11.11, l: 1250, r: 16667, x: 250, m: 1, h: 50000 },
} as const satisfies Record<string, HairCellParameters>;

/** Where q, e and w stand still without sound. */
export function hairCellRest({ A, B, g, y, l, r, x, m }: HairCellParameters) {
  const rest = (g * A) / (A + B);
  const e = (m * y * rest) / (l * rest + y * (l + r));
  return { q: (e * (l + r)) / rest, e, w: (e * r) / x };
}

/**
 * The probability of a firing in every step, from rest:
 *
 *     k = g (b + A)/(b + A + B) where b + A > 0, else 0
 *     dq/dt = y max(m − q, 0) + x w − k q     de/dt = k q − (l + r) e     dw/dt = r e − x w     p = h e dt
 *
 * explicit Euler, each value clipped at 0 from below, p from the new e.
 *
 * @param velocity membrane velocity b; @param dt step in s; @param p where the probabilities go, as long as `velocity`
 */
export function hairCell(velocity: Float64Array, dt: number, cell: HairCellParameters, p: Float64Array): void {
  const { A, B, g, y, l, r, x, m, h } = cell;
  let { q, e, w } = hairCellRest(cell);
  const out = l + r;
  const perStep = h * dt;
  for (let n = 0; n < velocity.length; n++) {
    const u = velocity[n] + A;
    // NaN, the original's silence, stays NaN.
    const k = u > 0 ? (g * u) / (u + B) : u <= 0 ? 0 : Number.NaN;
    const released = k * q;
    const returned = x * w;
    const missing = m - q;
    const newQ = q + dt * ((missing > 0 ? y * missing : 0) + returned - released);
    const newE = e + dt * (released - out * e);
    const newW = w + dt * (r * e - returned);
    q = newQ < 0 ? 0 : newQ;
    e = newE < 0 ? 0 : newE;
    w = newW < 0 ? 0 : newW;
    p[n] = perStep * e;
  }
}
