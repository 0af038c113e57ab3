export {
  buildModel,
  type CellDescription,
  type CellModel,
  type IonSettings,
  type Method,
  methods,
  type PerSegment,
  type Placement,
} from './model.js';
export { CellProgram, type CompileOptions, type Probe, type SavedState, type SynapticInput } from './program.js';
export { ScalarSolver } from './scalar.js';
export { type CurrentInput, type Recording, type SimulateOptions, simulate } from './simulate.js';
export * from './stimuli.js';
