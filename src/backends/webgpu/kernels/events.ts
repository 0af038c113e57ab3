/**
 * @file Work on events. Forward, every output gathers over the events of its row. For the gradient of a weight the events
 * of one channel are needed together: a counting sort orders every sample's events by channel, on the GPU, and the result
 * does not depend on which invocation came first.
 */
import type { Call, EventsRef, PlanBuilder, Ref } from '../builder.js';
import { elementwise } from '../builder.js';
import { u } from '../wgsl.js';

/** y[row, o] = bias[o] + Σ over the events of the row of value · table[channel, o] */
export function gatherEvents(
  call: Call,
  label: string,
  events: EventsRef,
  table: Ref,
  bias: Ref | undefined,
  y: Ref,
): void {
  const [samples, steps] = events.shape;
  const width = y.size / (samples * steps);
  elementwise(
    call,
    label,
    y.size,
    (i) => `let row = ${i} / ${u(width)};
  let o = ${i} % ${u(width)};
  var total = ${bias ? bias.at('o') : '0f'};
  let end = ${events.offsets.bits('row + 1u')};
  for (var e = ${events.offsets.bits('row')}; e < end; e++) {
    total += ${events.value('e')} * ${table.at(`${events.channel('e')} * ${u(width)} + o`)};
  }
  ${y.set(i, 'total')}`,
  );
}

const lanes = 64;
/** Samples whose events one workgroup adds up. */
const samplesPerStretch = 32;

/**
 * G[channel, o] = Σ over the channel's events of value · g[row, o]. Summed in stretches of samples; what comes back is the
 * expression that adds the stretches up, for the next kernel.
 */
export function channelSums(
  call: Call,
  label: string,
  events: EventsRef,
  g: Ref,
): (channel: string, o: string) => string {
  const [samples, steps, channels] = events.shape;
  const width = g.size / (samples * steps);
  const tiles = Math.ceil(width / lanes);
  const stretches = Math.ceil(samples / samplesPerStretch);
  const order = events.byChannel();
  const partial = call.temporary(stretches * channels * width);
  call.kernel({
    label,
    groups: channels * tiles * stretches,
    threads: lanes,
    body: () => `  let channel = group / ${u(tiles)} % ${u(channels)};
  let stretch = group / ${u(tiles * channels)};
  let o = group % ${u(tiles)} * ${u(lanes)} + lane;
  if (o >= ${u(width)}) { return; }
  let last = min((stretch + 1u) * ${u(samplesPerStretch)}, ${u(samples)});
  var total = 0f;
  for (var sample = stretch * ${u(samplesPerStretch)}; sample < last; sample++) {
    let end = ${order.starts.bits(`sample * ${u(channels + 1)} + channel + 1u`)};
    for (var at = ${order.starts.bits(`sample * ${u(channels + 1)} + channel`)}; at < end; at++) {
      total += ${order.value('at')} * ${g.at(`${order.row('at')} * ${u(width)} + o`)};
    }
  }
  ${partial.set(`(stretch * ${u(channels)} + channel) * ${u(width)} + o`, 'total')}`,
  });
  return (channel, o) =>
    Array.from({ length: stretches }, (_, s) =>
      partial.at(`(${u(s * channels)} + ${channel}) * ${u(width)} + ${o}`),
    ).join(' + ');
}

/** Channels that are counted at a time. */
const range = 2048;

/** The kernel that fills an `EventOrder`; `slot` is the text of an element of the array of (value, row) pairs. */
export function sortEvents(
  builder: PlanBuilder,
  events: EventsRef,
  starts: Ref,
  slot: (index: string) => string,
): void {
  const [samples, steps, channels] = events.shape;
  // Latency counts: there are only as many workgroups as samples.
  const threads = builder.machine.threads >= 1024 ? 1024 : 256;
  const each = range / threads;
  builder.kernel({
    label: 'events by channel',
    groups: samples,
    threads,
    declarations: () => `var<workgroup> counts: array<atomic<u32>, ${range}>;
var<workgroup> sums: array<u32, ${threads}>;
`,
    body: () => `  let firstRow = group * ${u(steps)};
  var base = ${events.offsets.bits('firstRow')};
  for (var first = 0u; first < ${u(channels)}; first += ${u(range)}) {
    for (var k = lane; k < ${u(range)}; k += ${u(threads)}) { atomicStore(&counts[k], 0u); }
    workgroupBarrier();
    for (var row = firstRow + lane; row < firstRow + ${u(steps)}; row += ${u(threads)}) {
      let end = ${events.offsets.bits('row + 1u')};
      for (var e = ${events.offsets.bits('row')}; e < end; e++) {
        let k = ${events.channel('e')} - first;
        if (k < ${u(range)}) { atomicAdd(&counts[k], 1u); }
      }
    }
    workgroupBarrier();
    // Where every channel starts: a running sum of the counts.
    var own = 0u;
    for (var k = lane * ${u(each)}; k < (lane + 1u) * ${u(each)}; k++) { own += atomicLoad(&counts[k]); }
    sums[lane] = own;
    for (var width = 1u; width < ${u(threads)}; width *= 2u) {
      workgroupBarrier();
      var before = 0u;
      if (lane >= width) { before = sums[lane - width]; }
      workgroupBarrier();
      sums[lane] += before;
    }
    workgroupBarrier();
    var position = base + sums[lane] - own;
    for (var k = lane * ${u(each)}; k < (lane + 1u) * ${u(each)}; k++) {
      let count = atomicLoad(&counts[k]);
      if (first + k < ${u(channels)}) { ${starts.set(`group * ${u(channels + 1)} + first + k`, 'position')} }
      atomicStore(&counts[k], position);
      position += count;
    }
    workgroupBarrier();
    for (var row = firstRow + lane; row < firstRow + ${u(steps)}; row += ${u(threads)}) {
      let end = ${events.offsets.bits('row + 1u')};
      for (var e = ${events.offsets.bits('row')}; e < end; e++) {
        let k = ${events.channel('e')} - first;
        if (k < ${u(range)}) {
          let at = atomicAdd(&counts[k], 1u);
          ${slot('2u * at')} = e;
          ${slot('2u * at + 1u')} = row;
        }
      }
    }
    workgroupBarrier();
    storageBarrier();
    // Each channel's events came in any order: sort them, then put the value in the place of the number.
    for (var k = lane; k < ${u(range)}; k += ${u(threads)}) {
      let end = atomicLoad(&counts[k]);
      var start = base;
      if (k > 0u) { start = atomicLoad(&counts[k - 1u]); }
      for (var i = start + 1u; i < end; i++) {
        let e = ${slot('2u * i')};
        let row = ${slot('2u * i + 1u')};
        var j = i;
        while (j > start && ${slot('2u * (j - 1u)')} > e) {
          ${slot('2u * j')} = ${slot('2u * (j - 1u)')};
          ${slot('2u * j + 1u')} = ${slot('2u * (j - 1u) + 1u')};
          j--;
        }
        ${slot('2u * j')} = e;
        ${slot('2u * j + 1u')} = row;
      }
      for (var i = start; i < end; i++) {
        ${slot('2u * i')} = bitcast<u32>(${events.value(slot('2u * i'))});
      }
    }
    base += sums[${u(threads - 1)}];
    workgroupBarrier();
  }
  if (lane == 0u) { ${starts.set(`group * ${u(channels + 1)} + ${u(channels)}`, 'base')} }`,
  });
}
