/** @file IEEE 754 half precision, for files that hold it and for the published evaluation, which rounds through it. */

const scratch = new ArrayBuffer(4);
const asFloat = new Float32Array(scratch);
const asBits = new Uint32Array(scratch);

/** The value of a half-precision bit pattern. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The half-precision bit pattern nearest to a value (ties to even). The value is rounded from float64, not twice. */
export function numberToHalf(value: number): number {
  asFloat[0] = value;
  const sign = (asBits[0] >>> 16) & 0x8000;
  const magnitude = Math.abs(value);
  if (Number.isNaN(value)) return 0x7e00;
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundTiesToEven(magnitude * 2 ** 24);
  let exponent = Math.floor(Math.log2(magnitude));
  // log2 may round up to the next whole number just below a power of two.
  if (2 ** exponent > magnitude) exponent--;
  const fraction = roundTiesToEven((magnitude / 2 ** exponent - 1) * 1024);
  // A fraction that rounded up to 1024 carries into the exponent, as the bit layout intends.
  return sign | (((exponent + 15) << 10) + fraction);
}

function roundTiesToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}

/** The value after a round trip through half precision. */
export function roundToHalf(value: number): number {
  return halfToNumber(numberToHalf(value));
}
