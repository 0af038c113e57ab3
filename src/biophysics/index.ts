export * from './cells/index.js';
export * from './mechanisms/index.js';
export * from './morphology/index.js';
export * from './neuronio/index.js';
export * from './solver/index.js';
