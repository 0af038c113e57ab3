export * from './config.js';
export * from './extend.js';
export * from './neuron.js';
export * from './official.js';
export * from './parameters.js';
export * from './routing.js';
export * from './stream.js';
export * from './trace.js';
