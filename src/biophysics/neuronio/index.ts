export * from './generator.js';
export * from './inputs.js';
