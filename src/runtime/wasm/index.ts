/** @file The WebAssembly emitter: typed instructions, a module builder, vector mathematics. */
export type { ValueType } from './encoding.js';
export * as wasmMath from './math.js';
export * from './module.js';
export * from './ops.js';
export * from './random.js';
export * from './tiles.js';
