export * from './lstm.js';
