export * from './custom.js';
export * from './hay.js';
export * from './protocols.js';
export * from './registry.js';
export * from './simple.js';
export * from './stylised.js';
