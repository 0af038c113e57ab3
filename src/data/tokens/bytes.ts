/**
 * @file Language modelling on the bytes of any text: every byte is to be told from those before it. The last part of the text
 * is held out.
 */
import { inputError, requireNumber } from '../../base/errors.js';
import { Stream } from '../../base/random.js';
import { checkRequest, type TokenSource } from './source.js';

export interface ByteText {
  readonly train: Uint8Array;
  readonly valid: Uint8Array;
}

/** Cuts a text in two: its end is for validation. @param validShare default 0.1 */
export function splitBytes(text: Uint8Array, validShare = 0.1): ByteText {
  requireNumber('splitBytes', 'validShare', validShare, { minimum: 0, maximum: 0.9 });
  const at = text.length - Math.round(validShare * text.length);
  return { train: text.subarray(0, at), valid: text.subarray(at) };
}

/**
 * Windows of a text at random places, wherever they fall. Batches of purpose `train` come from its first part, all others
 * from the held-out part.
 */
export function byteText(text: ByteText): TokenSource {
  const settings = { trainBytes: text.train.length, validBytes: text.valid.length };
  const source = { name: 'bytes', vocabulary: 256, shortest: 1, settings };
  return {
    ...source,
    batch(request) {
      const { seed, purpose, step, samples, length } = checkRequest(source, request);
      const from = purpose === 'train' ? text.train : text.valid;
      const places = placesIn(from, length, purpose);
      const ids = new Int32Array(samples * length);
      const labels = new Int32Array(samples * length);
      for (let b = 0; b < samples; b++) {
        const start = new Stream(seed, `tokens.bytes.${purpose}`, step * samples + b).integer(places);
        ids.set(from.subarray(start, start + length), b * length);
        labels.set(from.subarray(start + 1, start + 1 + length), b * length);
      }
      return { shape: [samples, length], ids, labels };
    },
  };
}

function placesIn(text: Uint8Array, length: number, purpose: string): number {
  const places = text.length - length;
  if (places >= 1) return places;
  const part = purpose === 'train' ? 'train on' : 'validate on';
  throw inputError(
    'byteText',
    `more than ${length} bytes to ${part}`,
    text.length,
    'give more text or shorter windows',
  );
}
