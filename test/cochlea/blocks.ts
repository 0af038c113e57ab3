/** @file The membrane in blocks as arrays, one channel at a time: the kernel's first half alone. */
import type { MembraneOptions } from '../../src/cochlea/basilar.js';
import { MembraneBlocks } from '../../src/cochlea/blocks.js';
import { Ear } from '../../src/cochlea/ear.js';
import { hairCells } from '../../src/cochlea/hair-cell.js';

export function blockMembrane(rateHz: number, channels: number, options: MembraneOptions) {
  const blocks = new MembraneBlocks(rateHz, 0, channels, options);
  const ear = new Ear({ ...blocks, rateHz: rateHz / 2, hairCell: hairCells.original, size: blocks.size / 2 });
  return (sound: Float64Array, steps: number) => ({
    steps,
    velocities(channel: number, [out]: readonly Float64Array[]): void {
      const lanes = Array.from({ length: 8 }, () => new Float64Array(blocks.hopSteps));
      for (let block = 0; block < blocks.count(steps); block++) {
        blocks.spectra(sound, block, [ear.spectrum(0)]);
        ear.velocities(channel >> 3, 0, lanes);
        const from = block * blocks.hopSteps;
        out.set(lanes[channel & 7].subarray(0, Math.min(blocks.hopSteps, steps - from)), from);
      }
    },
  });
}
