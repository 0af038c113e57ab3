/** @file Held-out recordings that are trained on as well: scores on them say nothing of new recordings. */
import type { RecordingChecksum } from '../../data/index.js';
import { checksum } from './identity.js';

/** Recordings of which some may be among others. */
export interface Listed {
  /** of every recording what does not change where it is stored under another name; equal ones may be the same */
  readonly keys: readonly string[];
  contents(i: number): Promise<readonly ArrayLike<number>[]>;
  checksum?(i: number): Promise<RecordingChecksum | undefined>;
}

/** The most pairs that are looked into; where there are more, the others are taken to be like them. */
const mostPairs = 64;

/**
 * How many of `held` are among `trained`: of the same key, and of the same checksum in their files or the same contents. A
 * few unequal checksums are enough for a look at contents, for the same recording has others in other files.
 */
export async function overlapOf(trained: Listed, held: Listed): Promise<number> {
  const places = new Map<string, number[]>();
  for (const [i, key] of trained.keys.entries()) places.set(key, [...(places.get(key) ?? []), i]);
  let same = 0;
  const unsure: (readonly [readonly number[], number])[] = [];
  for (const [i, key] of held.keys.entries()) {
    const twins = places.get(key);
    if (!twins) continue;
    if (await anyOf(twins, (place) => sameChecksum(trained, place, held, i))) same++;
    else unsure.push([twins, i]);
  }
  const stride = Math.max(1, Math.ceil(unsure.length / mostPairs));
  const sampled = unsure.filter((_, k) => k % stride === 0);
  let found = 0;
  for (const [twins, i] of sampled) {
    if (await anyOf(twins, (place) => sameContents(trained, place, held, i))) found++;
  }
  return same + Math.round((found * unsure.length) / Math.max(1, sampled.length));
}

/** `3 of 12 simulations to validate on are among those to train on: …`; undefined where none is. */
export function overlapText(same: number, all: number, what: string): string | undefined {
  if (same === 0) return undefined;
  return `${same} of ${all} ${what} are among those to train on: the scores say nothing of new recordings`;
}

async function anyOf(places: readonly number[], test: (place: number) => Promise<boolean>): Promise<boolean> {
  for (const place of places) if (await test(place)) return true;
  return false;
}

async function sameChecksum(a: Listed, i: number, b: Listed, j: number): Promise<boolean> {
  const [before, now] = [await a.checksum?.(i), await b.checksum?.(j)];
  return before !== undefined && before.form === now?.form && before.crc === now.crc;
}

async function sameContents(a: Listed, i: number, b: Listed, j: number): Promise<boolean> {
  const [before, now] = [await a.contents(i), await b.contents(j)];
  return before.every((numbers, k) => numbers.length === now[k].length && checksum(numbers) === checksum(now[k]));
}
