export * from './retention.js';
export * from './timescale.js';
