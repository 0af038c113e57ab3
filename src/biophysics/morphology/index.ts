export * from './contour.js';
export * from './geometry.js';
export * from './neurolucida.js';
export * from './outline.js';
export * from './read.js';
export * from './sections.js';
export * from './segments.js';
export * from './swc.js';
