export * from './batches.js';
export * from './convert.js';
export * from './dataset.js';
export * from './npz.js';
export * from './open.js';
export * from './pickle.js';
export * from './shards.js';
export * from './simulation.js';
