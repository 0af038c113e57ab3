export * from './byte-source.js';
export * from './checksum.js';
export * from './deflate.js';
export * from './dtype.js';
export * from './npy.js';
export * from './npz.js';
export * from './zip.js';
