export * from './backends/index.js';
export * from './base/index.js';
export * from './elm/index.js';
export * from './graph/index.js';
export * from './memory/index.js';
export * from './ops/index.js';
