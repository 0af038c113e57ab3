export * from './batches.js';
export * from './binning.js';
export * from './dataset.js';
export * from './numpy-random.js';
export { openSpokenDigits, type SpokenDigitsInput } from './open.js';
export * from './recordings.js';
export * from './shards.js';
export * from './split.js';
export * from './summary.js';
