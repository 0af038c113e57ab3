/** @file From phases to a WebAssembly module: each step a function, each phase an export that calls its steps in order. */
import { type I32, i32, type Local, ModuleBuilder } from '../../runtime/wasm/index.js';
import { maximumTasks, type Phase } from '../../runtime/workers.js';
import type { Address, Emission, PhasePlan, Placement, Region } from './steps.js';

/** Builds the module. `origin` is where the plan's memory starts. */
export function emitModule(
  phases: readonly PhasePlan[],
  placement: Placement,
  origin: number,
  options: { relaxed: boolean; shared: boolean },
): { bytes: Uint8Array<ArrayBuffer>; phases: Phase[] } {
  const m = new ModuleBuilder(options);
  const offsetOf = (region: Region): number => {
    const offset = placement.offsets.get(region);
    if (offset === undefined) throw new RangeError('a step names a region that it does not read or write');
    return offset;
  };
  const list = phases.map(({ lanes, steps }, p): Phase => {
    const functions = steps.map((step, s) =>
      m.inner(`${p}.${s} ${step.label}`, ['i32', 'i32'], undefined, (f, base, group) => {
        const at = (region: Region): Address => {
          if (region.fixedAt !== undefined) return { base: i32.const(0), offset: region.fixedAt };
          if (region.lanes) return { base, offset: offsetOf(region) };
          return { base: i32.const(0), offset: origin + offsetOf(region) };
        };
        const emission: Emission = {
          f,
          at,
          pointer: (region) => {
            const { base: start, offset } = at(region);
            return f.let(i32.add(start, offset));
          },
          partOf: (region, g) => ({
            base: i32.const(0),
            offset: origin + offsetOf(region) + g * placement.strideOf(region.lanes!),
          }),
          group: step.lanes ? group : i32.const(0),
        };
        step.emit(emission);
      }),
    );
    const name = `phase${p}`;
    const stride = lanes ? placement.strideOf(lanes) : 0;
    const groups = lanes ? lanes.groups : 1;
    const tasks = Math.min(groups, maximumTasks);
    m.function(name, ['i32'], (f, task) => {
      const run = (group: I32) => {
        const base: Local<'i32'> = f.let(i32.add(i32.mul(group, stride), origin));
        steps.forEach((step, s) => {
          if (step.lanes === lanes) f.call(functions[s], base, group);
          else f.if(i32.eqz(group), () => f.call(functions[s], base, group));
        });
      };
      if (groups <= maximumTasks) run(task);
      else {
        f.while(
          () => i32.ltS(task, groups),
          () => {
            run(task);
            f.add(task, maximumTasks);
          },
        );
      }
    });
    return { run: name, tasks };
  });
  return { bytes: m.bytes(), phases: list };
}
