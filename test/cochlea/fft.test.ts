import { Stream } from '../../src/base/random.js';
import { AnyLengthFft, PowerOfTwoFft } from '../../src/cochlea/fft.js';
import { allClose, suite } from '../harness.js';

const test = suite('cochlea/fft');

function noise(count: number, index: number): Float64Array {
  const stream = new Stream(1, 'test.fft', index);
  return Float64Array.from({ length: count }, () => stream.normal());
}

/** Σ x[k] exp(sign 2πi kn/N), by the definition. */
function slow(re: Float64Array, im: Float64Array, sign: number): [Float64Array, Float64Array] {
  const size = re.length;
  const out: [Float64Array, Float64Array] = [new Float64Array(size), new Float64Array(size)];
  for (let n = 0; n < size; n++) {
    for (let k = 0; k < size; k++) {
      const angle = (sign * 2 * Math.PI * ((k * n) % size)) / size;
      out[0][n] += re[k] * Math.cos(angle) - im[k] * Math.sin(angle);
      out[1][n] += re[k] * Math.sin(angle) + im[k] * Math.cos(angle);
    }
  }
  return out;
}

test('powers of two: the definition, and there and back', () => {
  for (const size of [2, 4, 8, 16, 32, 512, 1024, 2048]) {
    const [re, im] = [noise(size, 0), noise(size, 1)];
    const [a, b] = [re.slice(), im.slice()];
    const fft = new PowerOfTwoFft(size);
    fft.forward(a, b);
    const [expectedRe, expectedIm] = slow(re, im, -1);
    allClose(
      expectedRe.map((_, k) => a[fft.position[k]]),
      expectedRe,
      { relative: 1e-13 },
    );
    allClose(
      expectedIm.map((_, k) => b[fft.position[k]]),
      expectedIm,
      { relative: 1e-13 },
    );
    fft.inverse(a, b);
    allClose(
      a.map((value) => value / size),
      re,
      { relative: 1e-14 },
    );
    allClose(
      b.map((value) => value / size),
      im,
      { relative: 1e-14 },
    );
  }
});

test('any length: the definition', () => {
  for (const size of [1, 2, 3, 7, 64, 101, 500, 501]) {
    const [re, im] = [noise(size, 2), noise(size, 3)];
    const [expectedRe, expectedIm] = slow(re, im, 1);
    new AnyLengthFft(size).inverse(re, im);
    allClose(re, expectedRe, { relative: 1e-13 });
    allClose(im, expectedIm, { relative: 1e-13 });
  }
});

test.run();
