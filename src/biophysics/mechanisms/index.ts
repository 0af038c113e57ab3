export * from './classic.js';
export * from './hay.js';
export { defineMechanism, faraday, gasConstant, type Mechanism, type MechanismDescription } from './mechanism.js';
export * from './synapses.js';
