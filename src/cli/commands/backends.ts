/** @file `dendra backends`: what can compute on this machine, why what can't doesn't, and what `auto` takes for a model. */
import { backends } from '../../backends/index.js';
import type { Availability, Backend } from '../../graph/index.js';
import { autoCacheFile, chooseBackend } from '../../train/index.js';
import { command } from '../command.js';
import { toggle, whole } from '../flags.js';
import { counted } from '../text.js';

async function look(backend: Backend) {
  const { name, description } = backend;
  const found = await backend.probe();
  const modes = await backend.modes?.();
  if (!found.available) return { name, description, available: false, reason: found.reason, modes };
  const session = await backend.open();
  try {
    const { threads, simd, adapter, detail } = session.execution;
    const { software = false } = found;
    return {
      name,
      description,
      available: true,
      threads,
      simd,
      adapter,
      software,
      executor: detail,
      detail: found.detail,
      modes,
    };
  } finally {
    session.dispose();
  }
}

function linesOf(one: Awaited<ReturnType<typeof look>>): string[] {
  const state = one.available
    ? [
        counted(one.threads as number, 'thread'),
        one.simd === 'none' ? 'no SIMD' : `${one.simd} SIMD`,
        one.adapter,
        one.software && 'a GPU imitated in software',
        one.executor,
      ]
        .filter(Boolean)
        .join(', ')
    : `not here: ${one.reason}`;
  const modes = Object.entries(one.modes ?? {}).map(
    ([mode, found]: [string, Availability]) =>
      `  ${mode.padEnd(10)} ${found.available ? found.detail : `not here: ${found.reason}`}`,
  );
  return [`${one.name.padEnd(10)} ${one.description}`, ...[state, ...modes].map((line) => `${' '.repeat(11)}${line}`)];
}

export const backendsCommand = command({
  name: 'backends',
  summary: 'list what can compute on this machine',
  description:
    'Lists every backend: whether it runs here, with how many threads, which SIMD and which GPU, or why it does not; then what auto takes for an ELM of the given size, and why. Where a GPU and the CPU engine both run, both are measured once, and the times kept for this version, runtime and adapter.',
  operands: [],
  flags: {
    memory: whole('memory units of the model that auto chooses for; default 20', { minimum: 1, maximum: 4096 }),
    batch: whole('windows in an update; default 8', { minimum: 1, maximum: 65536 }),
    measure: toggle('measure again'),
  },
  examples: ['dendra backends', 'dendra backends --memory 100 --batch 256'],
  async run({ flags, note }) {
    const { memory = 20, batch = 8, measure: again } = flags;
    const found = [];
    for (const backend of backends) found.push(await look(backend));
    const choice = await chooseBackend({ memory, batch }, { again, note });
    const lines = found.flatMap(linesOf);
    return {
      json: {
        backends: found,
        auto: choice.backend,
        choice: { memory, batch, ...choice, cache: (await autoCacheFile()) ?? null },
      },
      text: `${lines.join('\n')}\n\nfor ${counted(memory, 'memory unit')} and ${counted(batch, 'window')} a step, auto takes ${choice.backend}: ${choice.why}\n--backend takes another; DENDRA_BACKEND sets what auto takes`,
    };
  },
});
