/**
 * @file Hankel functions of a complex argument in the upper half-plane (Im z ≥ 0), scaled so that they never underflow:
 *
 *     H0⁽¹⁾(z) = √(2/(πz)) exp(i(z − π/4)) s0(z)      H1⁽¹⁾(z) = √(2/(πz)) exp(i(z − 3π/4)) s1(z)
 *
 * s0, s1 → 1 for large |z|. Ascending series below |z| = 2, Steed's continued fraction for K(−iz) (Temme 1975) between,
 * Hankel's asymptotic expansion from |z| = 25 on; relative accuracy about 1e-14 for Im z ≥ 0 (DLMF 10.4, 10.8, 10.17).
 */

const eulerGamma = 0.5772156649015329;

/** s0 as [re, im] in `out[0], out[1]`, and s1 in `out[2], out[3]`. */
export function scaledHankel(re: number, im: number, out: Float64Array): void {
  const size = re * re + im * im;
  if (size < 4) series(re, im, out);
  else if (size < 625) steed(re, im, out);
  else {
    asymptotic(re, im, 0, out, 0);
    asymptotic(re, im, 4, out, 2);
  }
}

/** s0 alone: what the inner loops need. */
export function scaledHankel0(re: number, im: number, out: Float64Array): void {
  const size = re * re + im * im;
  if (size < 4) series(re, im, out);
  else if (size < 625) steed(re, im, out);
  else asymptotic(re, im, 0, out, 0);
}

/** Σ iᵏ aₖ / zᵏ, aₖ/aₖ₋₁ = (4ν² − (2k − 1)²)/(8k); `order` is 4ν². */
function asymptotic(re: number, im: number, order: number, out: Float64Array, at: number): void {
  const size = re * re + im * im;
  // i/z
  const stepRe = im / size;
  const stepIm = re / size;
  let termRe = 1;
  let termIm = 0;
  let sumRe = 1;
  let sumIm = 0;
  for (let k = 1; k < 40; k++) {
    const factor = (order - (2 * k - 1) ** 2) / (8 * k);
    const nextRe = (termRe * stepRe - termIm * stepIm) * factor;
    termIm = (termRe * stepIm + termIm * stepRe) * factor;
    termRe = nextRe;
    sumRe += termRe;
    sumIm += termIm;
    if (Math.abs(termRe) + Math.abs(termIm) < 1e-16) break;
  }
  out[at] = sumRe;
  out[at + 1] = sumIm;
}

/** K0 and K1 of w = −iz by the continued fraction for K1/K0 and Temme's sum, all complex. */
function steed(re: number, im: number, out: Float64Array): void {
  const wRe = im;
  const wIm = -re;
  let bRe = 2 * (1 + wRe);
  const bIm = 2 * wIm;
  let size = bRe * bRe + bIm * bIm;
  let dRe = bRe / size;
  let dIm = -bIm / size;
  let deltaRe = dRe;
  let deltaIm = dIm;
  let hRe = dRe;
  let hIm = dIm;
  let q1Re = 0;
  let q1Im = 0;
  let q2Re = 1;
  let q2Im = 0;
  let qRe = 0.25;
  let qIm = 0;
  let c = 0.25;
  let a = -0.25;
  let sRe = 1 + qRe * deltaRe;
  let sIm = qRe * deltaIm;
  for (let i = 2; i < 500; i++) {
    a -= 2 * (i - 1);
    c = (-a * c) / i;
    const nextRe = (q1Re - (bRe * q2Re - bIm * q2Im)) / a;
    const nextIm = (q1Im - (bRe * q2Im + bIm * q2Re)) / a;
    q1Re = q2Re;
    q1Im = q2Im;
    q2Re = nextRe;
    q2Im = nextIm;
    qRe += c * nextRe;
    qIm += c * nextIm;
    bRe += 2;
    const eRe = bRe + a * dRe;
    const eIm = bIm + a * dIm;
    size = eRe * eRe + eIm * eIm;
    dRe = eRe / size;
    dIm = -eIm / size;
    const fRe = bRe * dRe - bIm * dIm - 1;
    const fIm = bRe * dIm + bIm * dRe;
    const newRe = fRe * deltaRe - fIm * deltaIm;
    deltaIm = fRe * deltaIm + fIm * deltaRe;
    deltaRe = newRe;
    hRe += deltaRe;
    hIm += deltaIm;
    const addRe = qRe * deltaRe - qIm * deltaIm;
    const addIm = qRe * deltaIm + qIm * deltaRe;
    sRe += addRe;
    sIm += addIm;
    if (Math.abs(addRe) + Math.abs(addIm) < 1e-14 * (Math.abs(sRe) + Math.abs(sIm))) break;
  }
  // s0 = 1/s; K1/K0 = (w + 1/2 − h/4)/w, and H1/H0 = −i K1/K0 while the scaling's share of it is −i: s1 = s0 · K1/K0.
  size = sRe * sRe + sIm * sIm;
  out[0] = sRe / size;
  out[1] = -sIm / size;
  const uRe = wRe + 0.5 - 0.25 * hRe;
  const uIm = wIm - 0.25 * hIm;
  size = wRe * wRe + wIm * wIm;
  const ratioRe = (uRe * wRe + uIm * wIm) / size;
  const ratioIm = (uIm * wRe - uRe * wIm) / size;
  out[2] = out[0] * ratioRe - out[1] * ratioIm;
  out[3] = out[0] * ratioIm + out[1] * ratioRe;
}

/** J + iY from their ascending series, then the scaling taken off. */
function series(re: number, im: number, out: Float64Array): void {
  // x = −z²/4
  const xRe = -(re * re - im * im) / 4;
  const xIm = (-re * im) / 2;
  let tRe = 1;
  let tIm = 0;
  let harmonic = 0;
  let j0Re = 0;
  let j0Im = 0;
  let y0Re = 0;
  let y0Im = 0;
  // J1 = (z/2) Σ xᵏ/(k!(k+1)!), and its companion for Y1
  let j1Re = 0;
  let j1Im = 0;
  let y1Re = 0;
  let y1Im = 0;
  for (let k = 0; k < 30; k++) {
    if (k > 0) {
      const nextRe = (tRe * xRe - tIm * xIm) / (k * k);
      tIm = (tRe * xIm + tIm * xRe) / (k * k);
      tRe = nextRe;
      harmonic += 1 / k;
    }
    const both = 2 * harmonic + 1 / (k + 1);
    j0Re += tRe;
    j0Im += tIm;
    y0Re += harmonic * tRe;
    y0Im += harmonic * tIm;
    j1Re += tRe / (k + 1);
    j1Im += tIm / (k + 1);
    y1Re += (both * tRe) / (k + 1);
    y1Im += (both * tIm) / (k + 1);
    if (Math.abs(tRe) + Math.abs(tIm) < 1e-18) break;
  }
  const size = re * re + im * im;
  const logRe = 0.5 * Math.log(size / 4) + eulerGamma;
  const logIm = Math.atan2(im, re);
  const twoOverPi = 2 / Math.PI;
  // Y0 = (2/π)((ln(z/2) + γ) J0 − Σ Hₖ xᵏ/(k!)²)
  const bigY0Re = twoOverPi * (logRe * j0Re - logIm * j0Im - y0Re);
  const bigY0Im = twoOverPi * (logRe * j0Im + logIm * j0Re - y0Im);
  const h0Re = j0Re - bigY0Im;
  const h0Im = j0Im + bigY0Re;
  // Y1 = −2/(πz) + (2/π)(ln(z/2) + γ) J1 − (z/2π) Σ (Hₖ + Hₖ₊₁) xᵏ/(k!(k+1)!)
  const jRe = (re * j1Re - im * j1Im) / 2;
  const jIm = (re * j1Im + im * j1Re) / 2;
  const bigY1Re = twoOverPi * (-re / size + logRe * jRe - logIm * jIm) - (re * y1Re - im * y1Im) / (2 * Math.PI);
  const bigY1Im = twoOverPi * (im / size + logRe * jIm + logIm * jRe) - (re * y1Im + im * y1Re) / (2 * Math.PI);
  const h1Re = jRe - bigY1Im;
  const h1Im = jIm + bigY1Re;
  // times √(πz/2) exp(−i(z − π/4))
  const root = Math.sqrt(Math.sqrt(size) * (Math.PI / 2)) * Math.exp(im);
  const angle = logIm / 2 - re + Math.PI / 4;
  const fRe = root * Math.cos(angle);
  const fIm = root * Math.sin(angle);
  out[0] = h0Re * fRe - h0Im * fIm;
  out[1] = h0Re * fIm + h0Im * fRe;
  // exp(−i(z − 3π/4)) is i times as much
  out[2] = -(h1Re * fIm + h1Im * fRe);
  out[3] = h1Re * fRe - h1Im * fIm;
}
