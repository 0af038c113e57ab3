export * from './filter.js';
export * from './retention.js';
export * from './selective.js';
export * from './timescale.js';
