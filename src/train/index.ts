export * from './evaluation/neuronio.js';
export * from './evaluation/windows.js';
export * from './metrics/index.js';
export * from './progress.js';
export * from './record.js';
export * from './schedules.js';
export * from './storage.js';
