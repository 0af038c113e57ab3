/** @file The leak, and the channels of the squid giant axon. Source: Hodgkin and Huxley (1952), J. Physiol. 117:500. */
import { defineMechanism, type MechanismDescription } from './mechanism.js';

export const passive = defineMechanism({
  name: 'pas',
  parameters: { g: { value: 0.001, unit: 'S/cm2' }, e: { value: -70, unit: 'mV' } },
  currents: { nonspecific: 'g*(v-e)' },
});

const squid: MechanismDescription = {
  name: 'hh',
  parameters: { gna: { value: 0.12, unit: 'S/cm2' }, gk: { value: 0.036, unit: 'S/cm2' } },
  definitions: { q10: '3^((celsius-6.3)/10)' },
  states: {
    m: { alpha: '0.1*(v+40)/(1-exp(-(v+40)/10))', beta: '4*exp(-(v+65)/18)', speed: 'q10' },
    h: { alpha: '0.07*exp(-(v+65)/20)', beta: '1/(exp(-(v+35)/10)+1)', speed: 'q10' },
    n: { alpha: '0.01*(v+55)/(1-exp(-(v+55)/10))', beta: '0.125*exp(-(v+65)/80)', speed: 'q10' },
  },
  currents: { na: 'gna*m^3*h*(v-ena)', k: 'gk*n^4*(v-ek)' },
};

/** Rates at 6.3 °C, three times faster for every 10 °C. The leak is its own mechanism, `pas`. */
export const hodgkinHuxley = defineMechanism(squid);

/**
 * The same with limits and time constants taken from their values at every whole millivolt, as NEURON's `hh` has them
 * unless `usetable_hh` is 0. Spikes on a long cable come 0.1 % apart from exact ones: the curves of Rallpack 3 were made so.
 */
export const hodgkinHuxleyTable = defineMechanism({ ...squid, table: { fromMv: -100, toMv: 100, stepMv: 1 } });
