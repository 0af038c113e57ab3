export * from './batches.js';
export * from './dataset.js';
export * from './npz.js';
export * from './simulation.js';
