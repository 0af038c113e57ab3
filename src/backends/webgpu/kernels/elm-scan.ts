/**
 * @file Lowering of the ELM recurrence: one kernel walks through the whole window, in both directions. A workgroup carries
 * one or a few samples; weights stay in registers where they fit, state stays with the lane that computes it, and the
 * vectors that all lanes read pass through workgroup memory: one barrier per layer and step. What a step reads from memory
 * is loaded some steps ahead. Gradients of weights are matrix products over all steps afterwards.
 *
 * Legend: B samples, T steps, M memory units, K_i width of hidden layer i, L hidden layers.
 */
import type { Call, Lowering, Ref } from '../builder.js';
import { activationSlope, activationValue, slopeFromValue, u } from '../wgsl.js';
import { columnSums } from './column-sums.js';
import { type Scan, scanOf, weightGradients } from './elm-weights.js';
import { chooseShape, MatrixText, needsSubgroups, packWeights, type Slot, type WorkgroupShape } from './matvec.js';

/** How many steps ahead memory is read: enough to hide it behind short steps. */
function stepsAhead({ matrices, samples }: WorkgroupShape): number {
  const work = matrices.reduce((total, { rowsEach, quads }) => total + rowsEach * quads * 4 * samples, 0);
  return work > 64 ? 2 : 4;
}

/** Statements before the loop: the place of a slot's sample and row in a [B, T, width] array, and whether it exists. */
function slotPlace({ row, sample, own }: Slot, { samples, steps }: Scan, width: number, perGroup: number): string {
  return `  let ${own}Here = ${own} && group * ${u(perGroup)} + ${sample} < ${u(samples)};
  let ${own}B = min(group * ${u(perGroup)} + ${sample}, ${u(samples - 1)});
  let ${own}R = min(${row}, ${u(width - 1)});
  let ${own}At = ${own}B * ${u(steps * width)} + ${own}R;`;
}

const placeOf = ({ own }: Slot) => ({ here: `${own}Here`, sample: `${own}B`, row: `${own}R`, start: `${own}At` });

/** A loop over `steps`, unrolled `ahead` times so that what was loaded ahead has fixed names. */
function timeLoop(steps: number, ahead: number, step: (k: number) => string): string {
  const whole = Math.floor(steps / ahead) * ahead;
  const unrolled = (count: number) =>
    Array.from({ length: count }, (_, k) => `  {\n    let now = t + ${u(k)};\n${step(k)}\n  }`).join('\n');
  const rest = steps - whole;
  return `${whole ? `  for (var t = 0u; t < ${u(whole)}; t += ${u(ahead)}) {\n${unrolled(ahead)}\n  }` : ''}
${rest ? `  {\n    let t = ${u(whole)};\n${unrolled(rest)}\n  }` : ''}`;
}

export const elmScan: Lowering = {
  forward(call) {
    const scan = scanOf(call);
    const { samples, steps, units, widths, attributes } = scan;
    const layers = widths.length - 1;
    const [drive, recurrent, decay, gain] = ['drive', 'recurrent', 'decay', 'gain'].map((name) => call.input(name));
    const [weights, biases, initial] = [call.list('weights'), call.list('biases'), call.optional('initial')];
    const memory = call.output('memory');
    const kept = call.differentiated ? keptOf(call, scan) : undefined;

    const sizes = widths.map((width, i) => [width, i === 0 ? units : widths[i - 1]] as const);
    const shape = chooseShape(call.machine, sizes, samples);
    const packed = packWeights(
      call,
      'elmScan',
      sizes.map(([rows, columns], i) => {
        const matrix = i === 0 ? recurrent : weights[i - 1];
        return {
          rows,
          columns,
          weight: (row: string, column: string) => matrix.at(`${row} * ${u(columns)} + ${column}`),
        };
      }),
      shape,
    );
    const matrices = sizes.map((_, i) => new MatrixText(`m${i}`, shape, i, packed[i]));
    const ahead = stepsAhead(shape);
    const first = matrices[0];
    const last = matrices[layers];

    const prologue = () => {
      const lines = matrices.map((matrix, i) => {
        const slots = matrix.slots.map((slot) => slotPlace(slot, scan, widths[i], shape.samples)).join('\n');
        const biasOf = (slot: Slot, n: number) =>
          i > 0 ? `  let m${i}Bias${n} = ${biases[i - 1].at(placeOf(slot).row)};` : '';
        return `${matrix.prologue()}\n${slots}\n${matrix.slots.map(biasOf).join('\n')}`;
      });
      last.slots.forEach((slot, n) => {
        const { row, sample, here } = placeOf(slot);
        lines.push(`  let decay${n} = ${decay.at(row)};
  let gain${n} = ${gain.at(row)};
  var leaked${n} = decay${n} * ${initial ? initial.at(`${sample} * ${u(units)} + ${row}`) : '0f'};
  if (${here}) { ${first.put(slot.sample, slot.row, `leaked${n}`)} }`);
      });
      first.slots.forEach((slot, n) => {
        for (let k = 0; k < ahead; k++) {
          lines.push(
            `  var drive${n}_${k} = ${drive.at(`${placeOf(slot).start} + ${u(Math.min(k, steps - 1) * widths[0])}`)};`,
          );
        }
      });
      lines.push('  workgroupBarrier();');
      return lines.join('\n');
    };

    const step = (k: number) => {
      const lines: string[] = [];
      matrices.forEach((matrix, i) => {
        const { text, results } = matrix.product();
        lines.push(text);
        // With a single layer everyone must have read the vector before it is written.
        if (layers === 0) lines.push('    workgroupBarrier();');
        matrix.slots.forEach((slot, n) => {
          const { here, start } = placeOf(slot);
          const at = `${start} + now * ${u(widths[i])}`;
          const x = `x${i}_${n}`;
          lines.push(`    let ${x} = ${results[n]} + ${i === 0 ? `drive${n}_${k}` : `m${i}Bias${n}`};`);
          if (i === 0) {
            const next = `${start} + min(now + ${u(ahead)}, ${u(steps - 1)}) * ${u(widths[0])}`;
            lines.push(`    drive${n}_${k} = ${drive.at(next)};`);
          }
          if (i < layers) {
            lines.push(`    if (${here}) {
      ${kept ? kept.hidden[i].set(at, x) : ''}
      ${matrices[i + 1].put(slot.sample, slot.row, activationValue(attributes.activation, x))}
    }`);
          } else {
            lines.push(`    let proposed${n} = ${activationValue(attributes.squash, x)};
    let memory${n} = fma(gain${n}, proposed${n}, leaked${n});
    leaked${n} = decay${n} * memory${n};
    if (${here}) {
      ${memory.set(at, `memory${n}`)}
      ${kept ? kept.proposed.set(at, `proposed${n}`) : ''}
      ${first.put(slot.sample, slot.row, `leaked${n}`)}
    }`);
          }
        });
        lines.push('    workgroupBarrier();');
      });
      return lines.join('\n');
    };

    call.kernel({
      label: `elmScan, ${shapeLabel(shape)}`,
      groups: Math.ceil(samples / shape.samples),
      threads: shape.threads,
      subgroups: needsSubgroups(shape),
      declarations: () => `${matrices.map((matrix) => matrix.declaration()).join('\n')}\n`,
      body: () => `${prologue()}\n${timeLoop(steps, ahead, step)}`,
    });
  },

  backward(call) {
    const scan = scanOf(call);
    const { samples, steps, units, widths, attributes } = scan;
    const layers = widths.length - 1;
    const [recurrent, decay, gain] = ['recurrent', 'decay', 'gain'].map((name) => call.input(name));
    const [weights, initial] = [call.list('weights'), call.optional('initial')];
    const memory = call.output('memory');
    const dMemory = call.seed('memory');
    const kept = keptOf(call, scan);
    const rows = samples * steps;
    // The gradients of all pre-activations; the first is that of the drive.
    const dPre = widths.map((width, i) => (i === 0 ? call.into('drive') : undefined) ?? call.temporary(rows * width));
    const [dDecay, dGain, dInitial] = ['decay', 'gain', 'initial'].map((name) => call.into(name));
    const dDecayPartial = dDecay && call.temporary(samples * units);
    const dGainPartial = dGain && call.temporary(samples * units);

    // Step by step from the memory back: first the transposed last layer, at the end the transposed recurrent one.
    const chain = widths.map((_, c) => {
      const layer = layers - c;
      const below = layer === 0 ? units : widths[layer - 1];
      const matrix = layer === 0 ? recurrent : weights[layer - 1];
      return {
        rows: below,
        columns: widths[layer],
        weight: (row: string, column: string) => matrix.at(`${column} * ${u(below)} + ${row}`),
      };
    });
    const shape = chooseShape(
      call.machine,
      chain.map(({ rows, columns }) => [rows, columns] as const),
      samples,
      call.machine.halves,
    );
    const packed = packWeights(call, 'elmScan, backward', chain, shape);
    const matrices = chain.map((_, c) => new MatrixText(`m${c}`, shape, c, packed[c]));
    const ahead = stepsAhead(shape);
    const unitSlots = matrices[layers].slots;
    const widthAfter = (c: number) => (c === layers ? units : widths[layers - 1 - c]);
    // The memory one step before.
    const before = (slot: Slot, at: string, isFirst: string) => {
      const { sample, row } = placeOf(slot);
      const start = initial ? initial.at(`${sample} * ${u(units)} + ${row}`) : '0f';
      return `select(${memory.at(`max(${at}, ${u(units)}) - ${u(units)}`)}, ${start}, ${isFirst})`;
    };
    /** The time `steps ago`, counted from the end and kept at the first. */
    const back = (ago: string) => `(${u(steps - 1)} - min(${ago}, ${u(steps - 1)}))`;

    const loads = (k: number, time: string, declare: boolean) => {
      const lines: string[] = [];
      const name = (text: string) => (declare ? `var ${text}` : text);
      unitSlots.forEach((slot, n) => {
        const at = `(${placeOf(slot).start} + ${time} * ${u(units)})`;
        lines.push(`    ${name(`given${n}_${k}`)} = ${dMemory.at(at)};
    ${name(`proposed${n}_${k}`)} = ${kept.proposed.at(at)};
    ${dDecayPartial ? `${name(`before${n}_${k}`)} = ${before(slot, at, `${time} == 0u`)};` : ''}`);
      });
      for (let c = 0; c < layers; c++) {
        const layer = layers - 1 - c;
        matrices[c].slots.forEach((slot, n) => {
          lines.push(
            `    ${name(`pre${c}_${n}_${k}`)} = ${kept.hidden[layer].at(`${placeOf(slot).start} + ${time} * ${u(widths[layer])}`)};`,
          );
        });
      }
      return lines.join('\n');
    };

    const prologue = () => {
      const lines = matrices.map((matrix, c) => {
        const slots = matrix.slots.map((slot) => slotPlace(slot, scan, widthAfter(c), shape.samples)).join('\n');
        return `${matrix.prologue()}\n${slots}`;
      });
      unitSlots.forEach((slot, n) => {
        const { row } = placeOf(slot);
        lines.push(`  let decay${n} = ${decay.at(row)};
  let gain${n} = ${gain.at(row)};
  var carried${n} = 0f;
  var decaySum${n} = 0f;
  var gainSum${n} = 0f;`);
      });
      for (let k = 0; k < ahead; k++) lines.push(loads(k, back(u(k)), true));
      return lines.join('\n');
    };

    const step = (k: number) => {
      const lines = [`    let time = ${u(steps - 1)} - now;`];
      unitSlots.forEach((slot, n) => {
        const { here, start } = placeOf(slot);
        lines.push(`    let d${n} = given${n}_${k} + carried${n};
    let y${n} = proposed${n}_${k};
    gainSum${n} = fma(d${n}, y${n}, gainSum${n});
    let e${n} = d${n} * gain${n} * ${slopeFromValue(attributes.squash, `y${n}`)};
    if (${here}) {
      ${dPre[layers].set(`${start} + time * ${u(units)}`, `e${n}`)}
      ${matrices[0].put(slot.sample, slot.row, `e${n}`)}
    }`);
        if (dDecayPartial) lines.push(`    let before${n} = before${n}_${k};`);
      });
      const hiddenMatrices = matrices.slice(0, layers);
      hiddenMatrices.forEach((matrix, c) => {
        matrix.slots.forEach((_, n) => {
          lines.push(`    let a${c}_${n} = pre${c}_${n}_${k};`);
        });
      });
      lines.push(`    let later = ${back(`(now + ${u(ahead)})`)};`, loads(k, 'later', false));
      lines.push('    workgroupBarrier();');
      hiddenMatrices.forEach((matrix, c) => {
        const layer = layers - 1 - c;
        const { text, results } = matrix.product();
        lines.push(text);
        matrix.slots.forEach((slot, n) => {
          const { here, start } = placeOf(slot);
          lines.push(`    let e${c}_${n} = ${results[n]} * ${activationSlope(attributes.activation, `a${c}_${n}`)};
    if (${here}) {
      ${dPre[layer].set(`${start} + time * ${u(widths[layer])}`, `e${c}_${n}`)}
      ${matrices[c + 1].put(slot.sample, slot.row, `e${c}_${n}`)}
    }`);
        });
        lines.push('    workgroupBarrier();');
      });
      const { text, results } = matrices[layers].product();
      lines.push(text);
      unitSlots.forEach((_, n) => {
        lines.push(`    let leak${n} = d${n} + ${results[n]};`);
        if (dDecayPartial) lines.push(`    decaySum${n} = fma(leak${n}, before${n}, decaySum${n});`);
        lines.push(`    carried${n} = decay${n} * leak${n};`);
      });
      // With a single layer the next step must not write what is still being read.
      if (layers === 0) lines.push('    workgroupBarrier();');
      return lines.join('\n');
    };

    const epilogue = () =>
      unitSlots
        .map((slot, n) => {
          const { here, sample, row } = placeOf(slot);
          const at = `${sample} * ${u(units)} + ${row}`;
          return `  if (${here}) {
    ${dDecayPartial ? dDecayPartial.set(at, `decaySum${n}`) : ''}
    ${dGainPartial ? dGainPartial.set(at, `gainSum${n}`) : ''}
    ${dInitial ? dInitial.set(at, `carried${n}`) : ''}
  }`;
        })
        .join('\n');

    call.kernel({
      label: `elmScan, backward, ${shapeLabel(shape)}`,
      groups: Math.ceil(samples / shape.samples),
      threads: shape.threads,
      subgroups: needsSubgroups(shape),
      declarations: () => `${matrices.map((matrix) => matrix.declaration()).join('\n')}\n`,
      body: () => `${prologue()}\n${timeLoop(steps, ahead, step)}\n${epilogue()}`,
    });
    for (const [partial, into] of [
      [dDecayPartial, dDecay],
      [dGainPartial, dGain],
    ]) {
      if (partial && into) sumOverSamples(call, partial, into, samples);
    }
    weightGradients(call, scan, kept.hidden, dPre);
  },
};

/** What backward needs of every step: the pre-activations of hidden layers, and the proposed update. */
function keptOf(call: Call, { samples, steps, units, widths }: Scan) {
  const rows = samples * steps;
  return {
    hidden: widths.slice(0, -1).map((width, i) => call.kept(`hidden${i}`, rows * width)),
    proposed: call.kept('proposed', rows * units),
  };
}

function sumOverSamples(call: Call, partial: Ref, into: Ref, samples: number): void {
  columnSums(call, {
    label: 'elmScan, backward timescales',
    rows: samples,
    columns: into.size,
    term: (row, column) => partial.at(`(${row} * ${u(into.size)} + ${column})`),
    write: (column, total) => into.set(column, total),
  });
}

function shapeLabel({ threads, samples, halves, matrices }: WorkgroupShape): string {
  const each = matrices.map(({ split, rowsEach, quads }) => `${split}x${rowsEach}x${quads * 4}`).join(' ');
  const held = matrices.every((shape) => shape.held === shape.rowsEach * shape.packs);
  const how = `${halves ? ', halves' : ''}${held ? '' : ', weights partly from memory'}`;
  return `${threads} threads, ${samples} samples, ${each}${how}`;
}
