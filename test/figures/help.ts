/** @file What the tests of figures look at: well-formed XML, coordinates that are numbers, pixels of a PNG. */
import { inflateSync } from 'node:zlib';
import { assert } from '../harness.js';

/** Asserts that the text is well-formed XML with one root element; returns the names of its elements. */
export function wellFormed(xml: string): string[] {
  const names: string[] = [];
  const open: string[] = [];
  let rest = xml;
  while (rest !== '') {
    const text = /^[^<]+/.exec(rest)?.[0] ?? '';
    assert.not.match(text, /&(?!(amp|lt|gt|quot|#\d+);)/, 'a bare & in text');
    if (open.length === 0) assert.is(text.trim(), '', 'text outside the root');
    rest = rest.slice(text.length);
    if (rest === '') break;
    const tag = /^<(\/?)([a-zA-Z][\w-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/.exec(rest);
    assert.ok(tag, `not a tag: ${rest.slice(0, 60)}`);
    const [whole, closing, name, attributes, empty] = tag!;
    assert.not.match(attributes, /&(?!(amp|lt|gt|quot|#\d+);)/, 'a bare & in an attribute');
    const keys = [...attributes.matchAll(/\s([\w:-]+)=/g)].map((match) => match[1]);
    assert.is(new Set(keys).size, keys.length, `an attribute twice: ${whole}`);
    if (closing) assert.is(open.pop(), name, 'closing tag');
    else {
      names.push(name);
      if (!empty) open.push(name);
    }
    rest = rest.slice(whole.length);
  }
  assert.equal(open, [], 'elements left open');
  assert.is(names[0], 'svg');
  return names;
}

/** Asserts that every attribute that places or draws something holds numbers only. */
export function drawn(svg: string): void {
  const words: Record<string, RegExp> = {
    d: /^[\d\s.,MmLlHhVvAaCcZz-]*$/,
    transform: /^(translate\(-?[\d.]+,-?[\d.]+\))?$/,
  };
  for (const [, key, value] of svg.matchAll(/\s([\w-]+)="([^"]*)"/g)) {
    if (['x', 'y', 'x1', 'x2', 'y1', 'y2', 'cx', 'cy', 'r', 'width', 'height'].includes(key)) {
      assert.match(value, /^-?\d+(\.\d+)?(em)?$/, `${key}="${value}"`);
      if (['r', 'width', 'height'].includes(key)) assert.ok(!value.startsWith('-'), `${key}="${value}"`);
    }
    if (words[key]) assert.match(value, words[key], `${key}="${value.slice(0, 80)}"`);
  }
  assert.not.match(svg, /NaN|undefined|Infinity|\bnull\b|\[object/);
}

/** The texts of a figure, in order. */
export function textsOf(svg: string): string[] {
  return [...svg.matchAll(/<text[^>]*>([^<]*)<\/text>/g)].map((match) => match[1]);
}

export interface Pixels {
  width: number;
  height: number;
  /** four bytes a pixel, rows from the top */
  rgba: Uint8Array;
}

/** Decodes a PNG file of 8-bit RGBA without interlacing, which is what resvg writes. */
export function decodePng(png: Uint8Array): Pixels {
  const bytes = Buffer.from(png);
  assert.equal([...bytes.subarray(0, 8)], [137, 80, 78, 71, 13, 10, 26, 10], 'PNG signature');
  const parts: Buffer[] = [];
  let header: Buffer | undefined;
  for (let at = 8; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at);
    const type = bytes.toString('latin1', at + 4, at + 8);
    if (type === 'IHDR') header = bytes.subarray(at + 8, at + 8 + length);
    if (type === 'IDAT') parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += 12 + length;
  }
  const [width, height] = [header!.readUInt32BE(0), header!.readUInt32BE(4)];
  assert.equal([...header!.subarray(8)], [8, 6, 0, 0, 0], '8-bit RGBA');
  const raw = inflateSync(Buffer.concat(parts));
  const stride = width * 4;
  const rgba = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)];
    for (let x = 0; x < stride; x++) {
      const left = x >= 4 ? rgba[y * stride + x - 4] : 0;
      const up = y > 0 ? rgba[(y - 1) * stride + x] : 0;
      const corner = x >= 4 && y > 0 ? rgba[(y - 1) * stride + x - 4] : 0;
      rgba[y * stride + x] = raw[y * (stride + 1) + 1 + x] + predicted(filter, left, up, corner);
    }
  }
  return { width, height, rgba };
}

function predicted(filter: number, left: number, up: number, corner: number): number {
  if (filter === 0) return 0;
  if (filter === 1) return left;
  if (filter === 2) return up;
  if (filter === 3) return (left + up) >> 1;
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

/** How many pixels of two images of one size differ. */
export function differing(a: Pixels, b: Pixels): number {
  assert.equal([a.width, a.height], [b.width, b.height]);
  let count = 0;
  for (let i = 0; i < a.rgba.length; i += 4) {
    if (a.rgba[i] !== b.rgba[i] || a.rgba[i + 1] !== b.rgba[i + 1] || a.rgba[i + 2] !== b.rgba[i + 2]) count++;
  }
  return count;
}
