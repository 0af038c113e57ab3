/**
 * @file Event inputs: the check of their channels, and a walk over the events of a group's samples, in order, beside a lanes
 * array with a row per time step.
 */
import type { Shape } from '../../../base/arrays.js';
import { type F32, f32, type I32, i32, i32x4, type Local, v128 } from '../../../runtime/wasm/index.js';
import type { Lanes } from '../layout.js';
import type { EventRegions } from '../lowering.js';
import type { Emission, Step } from '../steps.js';

export interface EventVisit {
  /** points at feature 0 of the event's time step, at the lane of its sample; the visitor may move it */
  readonly row: Local<'i32'>;
  readonly channel: I32;
  readonly value: F32;
}

/** Which events, and beside what: rows of one pointer per sample and time step. */
export interface EventWalk {
  readonly lanes: Lanes;
  /** time steps of the input */
  readonly steps: number;
  /** where the row of the first lane and first step starts, and the bytes from step to step and from lane to lane */
  readonly rows: I32;
  readonly rowBytes: number;
  readonly laneBytes: number;
  /** the steps to walk: `count` from `first`; default all */
  readonly first?: I32;
  readonly count?: number;
}

/** A walk beside an array in lanes, `features` to a step. */
export function besideLanes(lanes: Lanes, steps: number, rows: I32, features: number): EventWalk {
  return { lanes, steps, rows, rowBytes: features * lanes.width * 4, laneBytes: 4 };
}

export function forEvents(
  { f, pointer, group }: Emission,
  events: EventRegions,
  { lanes, steps, rows, rowBytes, laneBytes, first = i32.const(0), count = steps }: EventWalk,
  visit: (event: EventVisit) => void,
): void {
  const { samples, width } = lanes;
  const sample = f.let(i32.mul(group, width));
  const lane = f.let(rows);
  const heads = pointer(events.heads);
  f.forRange(0, width, 1, () => {
    f.if(i32.ltS(sample, samples), () => {
      const start = i32.shl(i32.add(i32.mul(sample, steps), first), 2);
      const offset = f.let(i32.add(pointer(events.offsets), start));
      const next = f.let(i32.load(offset));
      const channels = f.let(i32.load(heads));
      const channel = f.let(i32.add(channels, i32.shl(next, 2)));
      const value = f.let(i32.add(i32.load(heads, 4), i32.shl(next, 2)));
      const row = f.let(lane);
      f.forRange(0, count, 1, () => {
        const end = f.let(i32.add(channels, i32.shl(i32.load(offset, 4), 2)));
        f.while(
          () => i32.ltU(channel, end),
          () => {
            visit({ row: f.let(row), channel: f.let(i32.load(channel)), value: f.let(f32.load(value)) });
            f.add(channel, 4);
            f.add(value, 4);
          },
        );
        f.add(offset, 4);
        f.add(row, rowBytes);
      });
    });
    f.add(sample, 1);
    f.add(lane, laneBytes);
  });
}

/**
 * Stops the program where a channel is out of range: a whole batch is looked at in microseconds here. (The plan then lets
 * the slow check find the words.) It counts as writing the heads, so that nobody reads the events before.
 */
export function checkEventsStep({ offsets, heads }: EventRegions, [samples, steps, channels]: Shape): Step {
  return {
    label: 'check events',
    reads: [offsets],
    writes: [heads],
    emit({ f, pointer }) {
      const count = f.let(i32.load(pointer(offsets), samples * steps * 4));
      const at = f.let(i32.load(pointer(heads)));
      const last = f.let(i32.add(at, i32.shl(count, 2)));
      const found = f.let(i32x4.all(0));
      const limit = i32x4.all(channels - 1);
      f.while(
        () => i32.leS(64, i32.sub(last, at)),
        () => {
          for (let k = 0; k < 4; k++) f.set(found, v128.or(found, i32x4.gtU(v128.load(at, k * 16), limit)));
          f.add(at, 64);
        },
      );
      f.while(
        () => i32.ltS(0, i32.sub(last, at)),
        () => {
          f.set(found, v128.or(found, i32x4.gtU(i32x4.splat(i32.load(at)), limit)));
          f.add(at, 4);
        },
      );
      f.if(v128.anyTrue(found), () => f.trap());
    },
  };
}
