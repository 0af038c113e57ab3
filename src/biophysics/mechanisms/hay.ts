/**
 * @file The channels of the layer 5 pyramidal cell. Source: Hay, Hill, Schürmann, Markram and Segev (2011), "Models of
 * neocortical layer 5b pyramidal cells capturing a wide range of dendritic and perisomatic active properties". The factor
 * 2.3^((34−21)/10), where a channel has it, is part of the published model and does not follow the temperature.
 */
import { defineMechanism, type MechanismDescription } from './mechanism.js';

const qt = '2.3^((34-21)/10)';

const channel = (
  name: string,
  ion: 'na' | 'k' | 'ca',
  gating: string,
  rest: Pick<MechanismDescription, 'definitions' | 'states'>,
) =>
  defineMechanism({
    name,
    parameters: { gbar: { value: 1e-5, unit: 'S/cm2' } },
    currents: { [ion]: `gbar*${gating}*(v-e${ion})` },
    ...rest,
  });

export const caHva = channel('Ca_HVA', 'ca', 'm^2*h', {
  states: {
    m: { alpha: '0.055*(-27-v)/(exp((-27-v)/3.8)-1)', beta: '0.94*exp((-75-v)/17)' },
    h: { alpha: '0.000457*exp((-13-v)/50)', beta: '0.0065/(exp((-v-15)/28)+1)' },
  },
});

export const caLva = channel('Ca_LVAst', 'ca', 'm^2*h', {
  definitions: { qt, u: 'v+10' },
  states: {
    m: { inf: '1/(1+exp((u+30)/-6))', tau: '(5+20/(1+exp((u+25)/5)))/qt' },
    h: { inf: '1/(1+exp((u+80)/6.4))', tau: '(20+50/(1+exp((u+40)/7)))/qt' },
  },
});

/** Hyperpolarisation-activated cation current; `vshift` moves its rates along the voltage. */
export const ih = defineMechanism({
  name: 'Ih',
  parameters: { gbar: { value: 1e-5, unit: 'S/cm2' }, e: { value: -45, unit: 'mV' }, vshift: { value: 0, unit: 'mV' } },
  definitions: { u: 'v-vshift' },
  states: { m: { alpha: '0.001*6.43*(u+154.9)/(exp((u+154.9)/11.9)-1)', beta: '0.001*193*exp(u/33.1)' } },
  currents: { nonspecific: 'gbar*m*(v-e)' },
});

export const im = channel('Im', 'k', 'm', {
  definitions: { qt },
  states: { m: { alpha: '3.3e-3*exp(2.5*0.04*(v+35))', beta: '3.3e-3*exp(-2.5*0.04*(v+35))', speed: 'qt' } },
});

export const kPst = channel('K_Pst', 'k', 'm^2*h', {
  definitions: { qt, u: 'v+10', t: 'u < -50 ? 1.25+175.03*exp(0.026*u) : 1.25+13*exp(-0.026*u)' },
  states: {
    m: { inf: '1/(1+exp(-(u+1)/12))', tau: 't/qt' },
    h: { inf: '1/(1+exp((u+54)/11))', tau: '(360+(1010+24*(u+55))*exp(-((u+75)/48)^2))/qt' },
  },
});

export const kTst = channel('K_Tst', 'k', 'm^4*h', {
  definitions: { qt, u: 'v+10' },
  states: {
    m: { inf: '1/(1+exp(-u/19))', tau: '(0.34+0.92*exp(-((u+71)/59)^2))/qt' },
    h: { inf: '1/(1+exp((u+66)/10))', tau: '(8+49*exp(-((u+73)/23)^2))/qt' },
  },
});

const sodium = (name: string, m: number, h: number) =>
  channel(name, 'na', 'm^3*h', {
    definitions: { qt },
    states: {
      m: {
        alpha: `0.182*(v+${m})/(1-exp(-(v+${m})/6))`,
        beta: `0.124*(-v-${m})/(1-exp(-(-v-${m})/6))`,
        speed: 'qt',
      },
      h: {
        alpha: `-0.015*(v+${h})/(1-exp((v+${h})/6))`,
        beta: `-0.015*(-v-${h})/(1-exp((-v-${h})/6))`,
        speed: 'qt',
      },
    },
  });

export const naTa = sodium('NaTa_t', 38, 66);
export const naTs2 = sodium('NaTs2_t', 32, 60);

export const napEt2 = channel('Nap_Et2', 'na', 'm^3*h', {
  definitions: {
    qt,
    am: '0.182*(v+38)/(1-exp(-(v+38)/6))',
    bm: '0.124*(-v-38)/(1-exp(-(-v-38)/6))',
    ah: '-2.88e-6*(v+17)/(1-exp((v+17)/4.63))',
    bh: '6.94e-6*(v+64.4)/(1-exp(-(v+64.4)/2.63))',
  },
  states: {
    m: { inf: '1/(1+exp((v+52.6)/-4.6))', tau: '6/(am+bm)/qt' },
    h: { inf: '1/(1+exp((v+48.8)/10))', tau: '1/(ah+bh)/qt' },
  },
});

export const skE2 = channel('SK_E2', 'k', 'z', {
  definitions: { c: 'cai < 1e-7 ? cai + 1e-7 : cai' },
  states: { z: { inf: '1/(1+(0.00043/c)^4.8)', tau: 1 } },
});

export const skv31 = channel('SKv3_1', 'k', 'm', {
  states: { m: { inf: '1/(1+exp((v-18.7)/-9.7))', tau: '0.2*20/(1+exp((v+46.56)/-44.14))' } },
});

/** Calcium in a shell of `depth` µm under the membrane, pumped out with time constant `decay`. */
export const caDynamics = defineMechanism({
  name: 'CaDynamics_E2',
  parameters: {
    gamma: { value: 0.05 },
    decay: { value: 80, unit: 'ms' },
    depth: { value: 0.1, unit: 'um' },
    minCai: { value: 1e-4, unit: 'mM' },
  },
  states: {
    cai: { inf: 'minCai - decay*10000*ica*gamma/(2*faraday*depth)', tau: 'decay', initial: 'cai' },
  },
  writes: ['ca'],
});
