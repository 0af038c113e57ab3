export * from './auto.js';
export * from './averaging.js';
export * from './bench-elm.js';
export * from './checkpoint.js';
export * from './classifier.js';
export * from './evaluation/digits.js';
export * from './evaluation/neuronio.js';
export * from './evaluation/tokens.js';
export * from './evaluation/windows.js';
export * from './families.js';
export * from './loop.js';
export * from './losses.js';
export type {
  AuditOptions,
  MemoryAudit,
  MemoryEffect,
  Spread,
  UnitMemory,
} from './memory/audit.js';
export * from './memory/elm.js';
export * from './memory/mamba.js';
export * from './metrics/index.js';
export * from './models.js';
export * from './optimisers.js';
export * from './plan.js';
export * from './progress.js';
export * from './record.js';
export * from './recovery.js';
export * from './schedules.js';
export * from './storage.js';
export * from './task.js';
export * from './tasks/digits.js';
export * from './tasks/digits-fit.js';
export {
  createDigitModel,
  type DigitData,
  type DigitModelName,
  digitData,
  digitModelNames,
  type FitDigitsOptions,
} from './tasks/digits-options.js';
export * from './tasks/neuronio.js';
export * from './tasks/neuronio-fit.js';
export type { FitNeuronIOOptions, NeuronIOData } from './tasks/neuronio-options.js';
export * from './tasks/presets.js';
export * from './tasks/tokens.js';
export * from './tasks/tokens-fit.js';
export { type FitTokensOptions, type TokenFitName, tokenFitNames, tokenTraining } from './tasks/tokens-options.js';
export * from './update.js';
