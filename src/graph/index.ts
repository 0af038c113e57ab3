export * from './backend.js';
export * from './compile.js';
export * from './feeds.js';
export * from './gradient.js';
export * from './program.js';
export * from './schedule.js';
export {
  type Argument,
  type Arguments,
  apply,
  type BackwardOperation,
  constant,
  type ForwardOperation,
  input,
  listOf,
  type Operation,
  type Origin,
  type Results,
  scalarInput,
  type Tensor,
  tensorsRead,
  tensorsWritten,
  variable,
} from './tensor.js';
