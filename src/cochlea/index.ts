export { type Cochlea, type CochleaSpikes, createCochlea, type HearOptions } from './cochlea.js';
export { type HairCellParameters, hairCells } from './hair-cell.js';
export { bestFrequenciesHz, membrane } from './membrane.js';
export { MersenneTwister } from './mersenne-twister.js';
export { type CochleaOptions, type CochleaSettings, cochleaPresets, cochleaSettings } from './options.js';
export { resample } from './resample.js';
