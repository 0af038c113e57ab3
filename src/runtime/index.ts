export * from './files.js';
export * from './probe.js';
export * from './wasm/index.js';
export * from './workers.js';
