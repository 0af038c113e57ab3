export * from './files.js';
export * from './memory.js';
export * from './probe.js';
export * from './wasm/index.js';
export * from './workers.js';
