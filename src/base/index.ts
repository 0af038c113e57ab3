export * from './arrays.js';
export * from './errors.js';
export * from './events.js';
export * from './float16.js';
export * from './options.js';
export * from './random.js';
export * from './units.js';
export * from './version.js';
