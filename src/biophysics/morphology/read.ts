/** @file A morphology from the text of a file of either kind, recognised by content. */
import { inputError } from '../../base/errors.js';
import { morphologyFromAsc } from './neurolucida.js';
import type { Morphology } from './sections.js';
import { morphologyFromSwc } from './swc.js';

/** Reads SWC or Neurolucida ASC. */
export function readMorphology(text: string, name: string): Morphology {
  const line = text.split(/\r\n|\n|\r/).find((one) => one.trim() !== '');
  const first = line?.trim() ?? '';
  if (/^[;("]/.test(first)) return morphologyFromAsc(text, name);
  if (/^[#\d]/.test(first)) return morphologyFromSwc(text, name);
  throw inputError(
    name,
    'a morphology, SWC or Neurolucida ASC',
    first === '' ? 'an empty file' : JSON.stringify(first.slice(0, 40)),
  );
}
