export * from './morphology/index.js';
