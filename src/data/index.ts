export * from './neuronio/index.js';
export * from './prefetch.js';
