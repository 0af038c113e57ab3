/** @file `dendra backends`: what can compute on this machine, and why what can't doesn't. */
import { backends, openSession } from '../../backends/index.js';
import type { Backend } from '../../graph/index.js';
import { command } from '../command.js';
import { counted } from '../text.js';

async function look(backend: Backend) {
  const { name, description } = backend;
  const found = await backend.probe();
  const modes = await backend.modes?.();
  if (!found.available) return { name, description, available: false, reason: found.reason, modes };
  const session = await backend.open();
  try {
    const { threads, simd, adapter, detail } = session.execution;
    return {
      name,
      description,
      available: true,
      threads,
      simd,
      adapter,
      executor: detail,
      detail: found.detail,
      modes,
    };
  } finally {
    session.dispose();
  }
}

export const backendsCommand = command({
  name: 'backends',
  summary: 'list what can compute on this machine',
  description: 'Lists every backend: whether it runs here, with how many threads and which SIMD, or why it does not.',
  operands: [],
  flags: {},
  examples: ['dendra backends'],
  async run() {
    const found = [];
    for (const backend of backends) found.push(await look(backend));
    const session = await openSession('auto');
    const auto = session.execution.backend;
    session.dispose();
    const lines = found.map((one) => {
      const state = one.available
        ? [
            counted(one.threads as number, 'thread'),
            one.simd === 'none' ? 'no SIMD' : `${one.simd} SIMD`,
            one.adapter,
            one.executor,
          ]
            .filter(Boolean)
            .join(', ')
        : `not here: ${one.reason}`;
      const modes = Object.entries(one.modes ?? {}).map(
        ([mode, is]) => `  ${mode.padEnd(10)} ${is.available ? is.detail : `not here: ${is.reason}`}`,
      );
      return [`${one.name.padEnd(10)} ${one.description}`, state, ...modes].join(`\n${' '.repeat(11)}`);
    });
    return { json: { backends: found, auto }, text: `${lines.join('\n')}\n\nauto takes ${auto}` };
  },
});
