export * from './bounded-cache.js';
export type { ChecksumForm, RecordingChecksum } from './checksums.js';
export * from './neuronio/index.js';
export * from './prefetch.js';
export * from './shd/index.js';
export * from './thinning.js';
export * from './tokens/index.js';
