// What mamba-cpu.js and mamba-gpu.js share: a 2-layer Mamba of width 64 as files, and contenders that all start from the same
// parameters and tokens and must find the same loss.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { encodeNpy } from '../../dist/node/io/index.js';
import { MambaModel } from '../../dist/node/mamba/index.js';
import { saveModel } from '../../dist/node/train/index.js';
import { contender, median } from './contenders.js';

const peers = join(dirname(fileURLToPath(import.meta.url)), 'peers');
const layers = 2;

/** A temporary folder with the model in it. */
export async function modelFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'dendra-bench-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  await saveModel(join(folder, 'model'), MambaModel.create({ vocabulary: 64, width: 64, layers }, 1));
  return folder;
}

/** The command lines of a case, length x sequences: `jax:256` is the peer jax with a variant, `dendra` the folder's model. */
export function candidatesOf(folder, one, names, { python, device, own = [] }) {
  const [length, samples] = one.split('x').map(Number);
  const ids = Int32Array.from({ length: length * samples }, (_, i) => (Math.imul(i + 1, 2654435761) >>> 20) % 64);
  const idsPath = join(folder, `${one}.npy`);
  writeFileSync(idsPath, encodeNpy('ids', { dtype: 'int32', shape: [samples, length], data: ids }));
  const weights = join(folder, 'model', 'weights.safetensors');
  return names.map((name) => {
    if (name === 'dendra') {
      const args = [join(peers, 'mamba-dendra.js'), join(folder, 'model'), idsPath, ...own];
      return { name, own: true, command: process.execPath, args };
    }
    const [peer, variant] = name.split(':');
    const args = [join(peers, `mamba_${peer}.py`), weights, idsPath, '--device', device];
    return { name, own: false, command: python, args: variant ? [...args, '--scan', variant] : args };
  });
}

/** A contender that is ready, or nothing, and why is told. */
export async function start(candidate, one, say, mostMs = 300_000) {
  const process_ = contender(candidate.command, candidate.args);
  try {
    const { ready, loss, bytes } = await process_.next(mostMs);
    say(`${one}: ${candidate.name}: ${ready}, loss ${loss}`);
    return { name: candidate.name, own: candidate.own, ready, loss, bytes, process: process_, forward: [], step: [] };
  } catch (error) {
    say(`${one}: ${candidate.name} left out: ${error.message}`);
    process_.end();
    return undefined;
  }
}

/** @param most products in TF32 may differ by more than those in float32 */
export function requireSameLoss(one, running, most) {
  const losses = running.map(({ loss }) => loss);
  if (!(Math.max(...losses) - Math.min(...losses) <= most)) throw new Error(`${one}: losses differ: ${losses}`);
}

/** Times of every contender in turn: `counts(entry)` says how many runs a turn has. */
export async function takeTurns(running, rounds, counts) {
  for (let round = 0; round < rounds; round++) {
    for (const entry of running) {
      const times = await entry.process.ask(counts(entry));
      for (const kind of ['forward', 'step']) entry[kind].push(...times[kind]);
    }
  }
}

/** One row for each contender and kind: median and least milliseconds, and how many times as long as dendra it took. */
export function resultsOf(one, running) {
  const [length, samples] = one.split('x').map(Number);
  return ['forward', 'step'].flatMap((kind) => {
    const own = running.find((entry) => entry.own);
    return running.map(({ name, ready, bytes, [kind]: times }) => {
      const ms = median(times);
      const ratio = own ? ms / median(own[kind]) : undefined;
      return { length, samples, kind, name, ready, ms, least: Math.min(...times), bytes: bytes?.[kind], ratio };
    });
  });
}

export function tableOf(results) {
  const megabytes = (bytes) => (bytes === undefined ? '' : (bytes / 2 ** 20).toFixed(1));
  const rows = results.map(
    ({ length, samples, kind, name, ms, least, bytes, ratio }) =>
      `| ${length} x ${samples} | ${kind} | ${name} | ${ms.toFixed(3)} | ${least.toFixed(3)} | ${ratio?.toFixed(1) ?? ''} | ${megabytes(bytes)} |`,
  );
  const head =
    '| length x sequences | what | who | ms (median) | least | times dendra | MiB |\n|---|---|---|---|---|---|---|';
  return `${[head, ...rows].join('\n')}\n`;
}
