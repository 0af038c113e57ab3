/**
 * @file Synapses with two time constants, g(t) = gmax (B − A), each event adding the same to A and B so that the peak is
 * gmax: A′ = −A/τ_rise, B′ = −B/τ_decay. Any number of synapses of one kind on a segment are one pair of states, because
 * the equations are linear: they cost their events, not their number.
 */
import { defineMechanism } from './mechanism.js';

/** 1 / (e^(−tp/τ_decay) − e^(−tp/τ_rise)), tp the time of the peak. */
const toPeak = (rise: string, decay: string): string => {
  const tp = `(${rise}*${decay}/(${decay}-${rise})*log(${decay}/${rise}))`;
  return `1/(exp(-${tp}/${decay})-exp(-${tp}/${rise}))`;
};

const twoStates = (name: string, tauRise: number, tauDecay: number, gmax: number, e: number, about: string) =>
  defineMechanism({
    name,
    about,
    kind: 'point',
    parameters: {
      gmax: { value: gmax, unit: 'uS' },
      tauRise: { value: tauRise, unit: 'ms' },
      tauDecay: { value: tauDecay, unit: 'ms' },
      e: { value: e, unit: 'mV' },
    },
    states: { A: { inf: 0, tau: 'tauRise' }, B: { inf: 0, tau: 'tauDecay' } },
    currents: { nonspecific: 'gmax*(B-A)*(v-e)' },
    events: { A: toPeak('tauRise', 'tauDecay'), B: toPeak('tauRise', 'tauDecay') },
  });

export const ampa = twoStates('AMPA', 0.3, 3, 0.0004, 0, 'fast excitation');
export const gabaA = twoStates('GABAA', 0.2, 8, 0.001, -80, 'fast inhibition');
export const gabaB = twoStates('GABAB', 3.5, 260.9, 0.001, -97, 'slow inhibition');

/** Excitation by AMPA and NMDA receptors of one synapse; the NMDA part opens with the voltage (Jahr and Stevens 1990). */
export const ampaNmda = defineMechanism({
  name: 'AMPANMDA',
  kind: 'point',
  parameters: {
    gAmpa: { value: 0.0004, unit: 'uS' },
    gNmda: { value: 0.0004, unit: 'uS' },
    riseAmpa: { value: 0.3, unit: 'ms' },
    decayAmpa: { value: 3, unit: 'ms' },
    riseNmda: { value: 2, unit: 'ms' },
    decayNmda: { value: 70, unit: 'ms' },
    e: { value: 0, unit: 'mV' },
    mg: { value: 1, unit: 'mM' },
    mgHalf: { value: 3.57, unit: 'mM' },
  },
  definitions: { open: '1/(1+exp(-0.08*v)*(mg/mgHalf))' },
  states: {
    A: { inf: 0, tau: 'riseAmpa' },
    B: { inf: 0, tau: 'decayAmpa' },
    C: { inf: 0, tau: 'riseNmda' },
    D: { inf: 0, tau: 'decayNmda' },
  },
  currents: { nonspecific: 'gAmpa*(B-A)*(v-e) + gNmda*(D-C)*(open*(v-e))' },
  events: {
    A: toPeak('riseAmpa', 'decayAmpa'),
    B: toPeak('riseAmpa', 'decayAmpa'),
    C: toPeak('riseNmda', 'decayNmda'),
    D: toPeak('riseNmda', 'decayNmda'),
  },
});
