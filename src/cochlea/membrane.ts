/**
 * @file The basilar membrane: how a sound of one frequency moves one place of it. A one-dimensional long-wave model,
 * linear, solved in closed form (Sieroka, Dosch and Rupp, JASA 120, 297, 2006; docs/cochlea.md 3). CGS units.
 */
import { scaledHankel, scaledHankel0 } from './hankel.js';

export const membrane = {
  /** stiffness scale C0, g s⁻² cm⁻² */
  stiffness: 1e9,
  /** stiffness offset a, g s⁻² cm⁻² */
  offset: 3500,
  /** stiffness decay α, cm⁻¹ */
  decay: 3,
  /** mass per area m, g cm⁻² */
  mass: 0.05,
  /** damping factor δ */
  damping: 0.15,
  /** channel height h, cm */
  height: 0.1,
  /** fluid density ρ, g cm⁻³ */
  density: 1,
  lengthCm: 3.5,
} as const;

const { stiffness: c0, offset: a, decay: alpha, mass: m, height: h, density: rho, lengthCm } = membrane;
const r0 = membrane.damping * Math.sqrt(c0 * m);

/** Where channel `channel` of `channels` sits, in cm from the stapes: 0 has the highest frequency. */
export function placeCm(channel: number, channels: number): number {
  return channels === 1 ? 0 : (lengthCm * channel) / (channels - 1);
}

/** The frequency where the membrane's impedance at a place is purely resistive, in Hz. */
export function resonanceHz(cm: number): number {
  return Math.sqrt((c0 * Math.exp(-alpha * cm) - a) / m) / (2 * Math.PI);
}

/** Everything in V that depends on the frequency alone. */
export class MembraneFrequency {
  /** angular frequency w, s⁻¹ */
  w = 0;
  /** s = √(a + m w²) */
  s = 0;
  /** D(0) */
  d0Re = 0;
  d0Im = 0;
  /** G(0) = 2 g(0)/α */
  g0Re = 0;
  g0Im = 0;
  /** 2 w Z √g(0) / s0(G(0)) */
  factorRe = 0;
  factorIm = 0;

  readonly #scratch = new Float64Array(4);

  /** @param hertz above 0 */
  set(hertz: number): void {
    const w = 2 * Math.PI * hertz;
    this.w = w;
    this.s = Math.sqrt(a + m * w * w);
    // xi(0), its root and g(0) = w √(ρ/(h xi(0)))
    const xiRe = c0 - a - m * w * w;
    const xiIm = -w * r0;
    const [rootRe, rootIm] = complexRoot(xiRe, xiIm);
    const rootSize = rootRe * rootRe + rootIm * rootIm;
    const wave = w * Math.sqrt(rho / h);
    const gRe = (wave * rootRe) / rootSize;
    const gIm = (-wave * rootIm) / rootSize;
    this.d0Re = -rootRe - (w * r0) / (2 * this.s);
    this.d0Im = -rootIm + this.s;
    this.g0Re = (2 * gRe) / alpha;
    this.g0Im = (2 * gIm) / alpha;
    // Z = i √(2 C0/h) H0⁽²⁾(z)/H1⁽²⁾(z); for real z, H⁽²⁾ is the conjugate of H⁽¹⁾, and H0⁽¹⁾/H1⁽¹⁾ = i s0/s1.
    const out = this.#scratch;
    scaledHankel(((2 * w) / alpha) * Math.sqrt(2 / (h * c0)), 0, out);
    const size = out[2] * out[2] + out[3] * out[3];
    const ratioRe = (out[0] * out[2] + out[1] * out[3]) / size;
    const ratioIm = (out[1] * out[2] - out[0] * out[3]) / size;
    // conj(i s0/s1) = −i conj(s0/s1), times i: conj(s0/s1)
    const scale = 2 * w * Math.sqrt((2 * c0) / h);
    const [gRootRe, gRootIm] = complexRoot(gRe, gIm);
    const topRe = scale * (ratioRe * gRootRe + ratioIm * gRootIm);
    const topIm = scale * (ratioRe * gRootIm - ratioIm * gRootRe);
    scaledHankel0(this.g0Re, this.g0Im, out);
    const below = out[0] * out[0] + out[1] * out[1];
    this.factorRe = (topRe * out[0] + topIm * out[1]) / below;
    this.factorIm = (topIm * out[0] - topRe * out[1]) / below;
  }
}

/** The principal square root, for the few per frequency. */
function complexRoot(re: number, im: number): [number, number] {
  const size = Math.sqrt(re * re + im * im);
  if (re >= 0) {
    const root = Math.sqrt((size + re) / 2);
    return [root, root === 0 ? 0 : im / (2 * root)];
  }
  const root = Math.sqrt((size - re) / 2);
  return [Math.abs(im) / (2 * root), im < 0 ? -root : root];
}

const hankel = new Float64Array(4);

/**
 * The transfer function V from sound to membrane velocity at a place: V = (2w/xi) (P(c)/P(0)) Z with
 * P(c) = √(G/g) H0⁽¹⁾(G), written to `out[at], out[at + 1]`. With P(c)/P(0) = √(g(0)/g) (s0(G)/s0(G(0))) exp(i(G − G(0)))
 * nothing underflows or is computed twice.
 *
 * @returns ln of the wave's decay since the stapes, −Im(G − G(0)): below −46 nothing is left in float64
 */
export function membraneResponse(f: MembraneFrequency, cm: number, out: Float64Array, at: number): number {
  const { w, s } = f;
  const fall = Math.exp((-alpha * cm) / 2);
  const damping = w * r0 * fall;
  const xiRe = c0 * fall * fall - a - m * w * w;
  const xiIm = -damping;
  // √xi: xi lies below the real axis
  const xiSize = Math.sqrt(xiRe * xiRe + xiIm * xiIm);
  let rootRe: number;
  let rootIm: number;
  if (xiRe >= 0) {
    rootRe = Math.sqrt((xiSize + xiRe) / 2);
    rootIm = xiIm / (2 * rootRe);
  } else {
    rootIm = -Math.sqrt((xiSize - xiRe) / 2);
    rootRe = xiIm / (2 * rootIm);
  }
  // G − G(0) = −(2 i w/(α s √h)) ln(D(0)/D(c))
  const dRe = (-rootRe - damping / (2 * s)) / fall;
  const dIm = (-rootIm + s) / fall;
  const quotientRe = f.d0Re * dRe + f.d0Im * dIm;
  const quotientIm = f.d0Im * dRe - f.d0Re * dIm;
  const scale = (2 * w) / (alpha * s * Math.sqrt(h));
  const dSize = dRe * dRe + dIm * dIm;
  const logRe = 0.5 * Math.log((f.d0Re * f.d0Re + f.d0Im * f.d0Im) / dSize);
  const logIm = Math.atan2(quotientIm, quotientRe);
  const waveRe = scale * logIm;
  const waveIm = -scale * logRe;
  scaledHankel0(f.g0Re + waveRe, f.g0Im + waveIm, hankel);
  // √g, g = w √(ρ/h) / √xi: the root of a number above the real axis
  const wave = (w * Math.sqrt(rho / h)) / xiSize;
  const gRe = wave * rootRe;
  const gIm = -wave * rootIm;
  const gSize = Math.sqrt(gRe * gRe + gIm * gIm);
  const gRootRe = Math.sqrt((gSize + gRe) / 2);
  const gRootIm = gIm / (2 * gRootRe);
  // V = factor · s0(G) · exp(i(G − G(0))) / (xi √g)
  const belowRe = xiRe * gRootRe - xiIm * gRootIm;
  const belowIm = xiRe * gRootIm + xiIm * gRootRe;
  const belowSize = belowRe * belowRe + belowIm * belowIm;
  const left = Math.exp(-waveIm) / belowSize;
  const eRe = left * Math.cos(waveRe);
  const eIm = left * Math.sin(waveRe);
  const uRe = hankel[0] * belowRe + hankel[1] * belowIm;
  const uIm = hankel[1] * belowRe - hankel[0] * belowIm;
  const tRe = uRe * eRe - uIm * eIm;
  const tIm = uRe * eIm + uIm * eRe;
  out[at] = f.factorRe * tRe - f.factorIm * tIm;
  out[at + 1] = f.factorRe * tIm + f.factorIm * tRe;
  return -waveIm;
}

/** The frequency that moves each of `channels` places the most, in Hz. */
export function bestFrequenciesHz(channels: number): Float64Array {
  const frequency = new MembraneFrequency();
  const out = new Float64Array(2);
  return Float64Array.from({ length: channels }, (_, channel) => {
    const cm = placeCm(channel, channels);
    const gain = (hertz: number) => {
      frequency.set(hertz);
      membraneResponse(frequency, cm, out, 0);
      return out[0] * out[0] + out[1] * out[1];
    };
    // One peak between a half of the resonance and a little above it: golden sections.
    let low = 0.5 * resonanceHz(cm);
    let high = 1.05 * resonanceHz(cm);
    const golden = (Math.sqrt(5) - 1) / 2;
    let left = high - golden * (high - low);
    let right = low + golden * (high - low);
    let leftGain = gain(left);
    let rightGain = gain(right);
    for (let i = 0; i < 24; i++) {
      if (leftGain > rightGain) {
        high = right;
        right = left;
        rightGain = leftGain;
        left = high - golden * (high - low);
        leftGain = gain(left);
      } else {
        low = left;
        left = right;
        leftGain = rightGain;
        right = low + golden * (high - low);
        rightGain = gain(right);
      }
    }
    return (low + high) / 2;
  });
}
