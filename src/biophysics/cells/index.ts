export * from './hay.js';
export * from './simple.js';
export * from './stylised.js';
