/** @file The chain drive → trace → first layer as one (see ../../fusion.ts). */
import type { Tensor } from '../../../../graph/tensor.js';
import type { SynapticDriveAttributes } from '../../../../ops/synaptic-drive.js';
import type { ProjectedDrive } from '../../fusion.js';
import type { Lowering } from '../../lowering.js';
import { writeZeros } from '../place.js';
import { type EventWalk, projectedBackward, projectedForward } from './events.js';
import { type Projection, project, unproject } from './rows.js';

const projections = new WeakMap<Lowering, Map<ProjectedDrive, Projection>>();

function parts(l: Lowering, { drive, linear, decay }: ProjectedDrive) {
  const x = drive.inputs.x as Tensor;
  const [samples, steps] = x.shape;
  const { routing } = drive.attributes as SynapticDriveAttributes;
  const walk: EventWalk = { events: l.events(x), steps, decay, lanes: l.lanesFor(samples) };
  return { routing, walk, synapses: drive.inputs.weight as Tensor, weight: linear.inputs.weight as Tensor };
}

export function forwardChain(l: Lowering, chain: ProjectedDrive): void {
  const { routing, walk, synapses, weight } = parts(l, chain);
  const projection = project(l, routing, synapses, weight, walk.lanes);
  projections.set(l, (projections.get(l) ?? new Map()).set(chain, projection));
  const bias = chain.linear.inputs.bias && l.plain(chain.linear.inputs.bias as Tensor);
  projectedForward(l, projection, walk, bias, l.writeLanes(chain.linear.outputs.y as Tensor));
}

export function backwardChain(l: Lowering, chain: ProjectedDrive): void {
  const { linearBackward, driveBackward } = chain;
  const dy = linearBackward?.gradients.y as Tensor | undefined;
  const { weight: dWeight, bias: dBias } = (linearBackward?.outputs ?? {}) as Record<string, Tensor | undefined>;
  const dSynapses = driveBackward?.outputs.weight as Tensor | undefined;
  if (!dy) {
    for (const gradient of [dWeight, dBias, dSynapses]) if (gradient) writeZeros(l, l.writePlain(gradient));
    return;
  }
  const { routing, walk, synapses } = parts(l, chain);
  const projection = projections.get(l)!.get(chain)!;
  const { rows } = projection;
  const table = dWeight || dSynapses ? l.region(rows.count * rows.vectors * 4, walk.lanes) : undefined;
  const bias = dBias && l.writeSum(dBias, walk.lanes);
  projectedBackward(l, projection, walk, l.lanes(dy), { table, bias: bias?.part });
  bias?.finish();
  if (table) unproject(l, routing, projection, table, synapses, { synapses: dSynapses, weight: dWeight });
}
