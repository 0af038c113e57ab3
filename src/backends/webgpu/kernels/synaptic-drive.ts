/**
 * @file Lowering of the synaptic drive. The weights of all live synapses from input i to branch j are first added up in a
 * table A [inputs, branches]; the drive is then x A: a gather over events, or a matrix product for a dense x. Backward, the
 * gradient of A is found first and every live synapse takes its element.
 */

import { synapsesByInput } from '../../../ops/routing.js';
import type { SynapticDriveAttributes } from '../../../ops/synaptic-drive.js';
import { type Call, elementwise, type Lowering, type Ref } from '../builder.js';
import { u } from '../wgsl.js';
import { channelSums, gatherEvents } from './events.js';
import { matrixProduct } from './matrix-product.js';

function weightTable(call: Call): Ref {
  const { routing } = call.attributes as SynapticDriveAttributes;
  const { inputs, branches, synapsesPerBranch } = routing;
  const weight = call.input('weight');
  const wiring = synapsesByInput(routing);
  const [offsets, synapses] = [call.table(wiring.offsets), call.table(wiring.synapses)];
  const table = call.temporary(inputs * branches);
  elementwise(
    call,
    'synaptic drive, weight table',
    table.size,
    (i) => `let source = ${i} / ${u(branches)};
  let branch = ${i} % ${u(branches)};
  let end = ${offsets.bits('source + 1u')};
  var total = 0f;
  for (var k = ${offsets.bits('source')}; k < end; k++) {
    let synapse = ${synapses.bits('k')};
    if (synapse / ${u(synapsesPerBranch)} == branch) { total += ${weight.at('synapse')}; }
  }
  ${table.set(i, 'total')}`,
  );
  return table;
}

export const synapticDrive: Lowering = {
  forward(call) {
    const { routing } = call.attributes as SynapticDriveAttributes;
    const { inputs, branches } = routing;
    const table = weightTable(call);
    const drive = call.output('drive');
    const events = call.events('x');
    if (events) {
      gatherEvents(call, 'synaptic drive', events, table, undefined, drive);
      return;
    }
    const x = call.input('x');
    matrixProduct(call, {
      label: 'synaptic drive, dense',
      rows: drive.size / branches,
      columns: branches,
      depth: inputs,
      a: (m, k) => x.at(`${m} * ${u(inputs)} + ${k}`),
      aRuns: 'k',
      b: (k, n) => table.at(`${k} * ${u(branches)} + ${n}`),
      bRuns: 'n',
      write: (m, n, value) => drive.set(`${m} * ${u(branches)} + ${n}`, value),
    });
  },

  backward(call) {
    const { routing } = call.attributes as SynapticDriveAttributes;
    const { inputs, branches, synapsesPerBranch, indices, mask } = routing;
    const [dDrive, dWeight, dx] = [call.seed('drive'), call.into('weight'), call.into('x')];
    const rows = dDrive.size / branches;
    const events = call.events('x');
    if (dWeight) {
      let sum: (channel: string, branch: string) => string;
      if (events) sum = channelSums(call, 'synaptic drive, backward', events, dDrive);
      else {
        const x = call.input('x');
        const dTable = call.temporary(inputs * branches);
        matrixProduct(call, {
          label: 'synaptic drive, backward table',
          rows: inputs,
          columns: branches,
          depth: rows,
          a: (m, k) => x.at(`${k} * ${u(inputs)} + ${m}`),
          aRuns: 'm',
          b: (k, n) => dDrive.at(`${k} * ${u(branches)} + ${n}`),
          bRuns: 'n',
          write: (m, n, value) => dTable.set(`${m} * ${u(branches)} + ${n}`, value),
        });
        sum = (channel, branch) => dTable.at(`${channel} * ${u(branches)} + ${branch}`);
      }
      // A synapse that reads nothing has the index −1 here, so its gradient is 0.
      const sources = call.table(indices.map((index, s) => (mask[s] ? index : -1)));
      elementwise(
        call,
        'synaptic drive, backward weight',
        dWeight.size,
        (i) => `let source = ${sources.bits(i)};
  var total = 0f;
  if (source < ${u(inputs)}) { total = ${sum('source', `${i} / ${u(synapsesPerBranch)}`)}; }
  ${dWeight.set(i, 'total')}`,
      );
    }
    if (dx) {
      const table = weightTable(call);
      matrixProduct(call, {
        label: 'synaptic drive, backward x',
        rows,
        columns: inputs,
        depth: branches,
        a: (m, k) => dDrive.at(`${m} * ${u(branches)} + ${k}`),
        aRuns: 'k',
        b: (k, n) => table.at(`${n} * ${u(branches)} + ${k}`),
        bRuns: 'k',
        write: (m, n, value) => dx.set(`${m} * ${u(inputs)} + ${n}`, value),
      });
    }
  },
};
