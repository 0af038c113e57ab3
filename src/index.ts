/**
 * @file `import … from 'dendra'`: the engine, the ELM neuron, data and training. Figures, cells and the cochlea are imported
 * from their sub-paths (`dendra/figures`, `dendra/biophysics`, `dendra/cochlea`), so that who does not use them does not
 * load them.
 */
export * from './backends/index.js';
export * from './base/index.js';
export * from './data/index.js';
export * from './elm/index.js';
export * from './graph/index.js';
export * from './io/index.js';
export * from './lstm/index.js';
export * from './memory/index.js';
export * from './ops/index.js';
export * from './runtime/index.js';
export * from './train/index.js';
