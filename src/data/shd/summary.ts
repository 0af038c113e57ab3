/** @file What a set of recordings holds, in numbers. */
import type { Part, SpokenDigits } from './dataset.js';

export interface DigitSummary {
  readonly recordings: number;
  readonly parts: Readonly<Record<Part, number>>;
  readonly channels: number;
  readonly classes: readonly string[];
  /** Recordings of each class. */
  readonly perClass: readonly number[];
  /** Different speakers, or undefined where a recording does not say. */
  readonly speakers: number | undefined;
  readonly spikes: number;
  /** Channels that never spike. */
  readonly silentChannels: number;
  /** Duration of all recordings together, in s, each to its last spike. */
  readonly durationS: number;
  /** Time of the last spike of all, in s. */
  readonly lastSpikeS: number;
}

/** Goes through all recordings once. @param onRecording called after each, with how many are done */
export async function summariseDigits(data: SpokenDigits, onRecording?: (done: number) => void): Promise<DigitSummary> {
  const perClass = new Array<number>(data.classes.length).fill(0);
  const parts = { train: 0, test: 0 };
  const heard = new Uint8Array(data.channels);
  let [spikes, durationS, lastSpikeS] = [0, 0, 0];
  for (const [i, { label, part }] of data.info.entries()) {
    perClass[label]++;
    parts[part]++;
    const { timesS, units } = await data.load(i);
    spikes += units.length;
    let last = 0;
    for (let k = 0; k < units.length; k++) {
      heard[units[k]] = 1;
      if (timesS[k] > last) last = timesS[k];
    }
    durationS += last;
    lastSpikeS = Math.max(lastSpikeS, last);
    onRecording?.(i + 1);
  }
  const speakers = new Set(data.info.map(({ speaker }) => speaker));
  return {
    recordings: data.count,
    parts,
    channels: data.channels,
    classes: data.classes,
    perClass,
    speakers: speakers.has(undefined) ? undefined : speakers.size,
    spikes,
    silentChannels: heard.filter((one) => one === 0).length,
    durationS,
    lastSpikeS,
  };
}
