/** @file Turning NeuronIO data of any kind into shards. */
import { inputError, requireInteger } from '../../base/errors.js';
import { exists, writeFileAtomically } from '../../runtime/index.js';
import { eachFile, entriesOf, type NeuronIOInput } from './open.js';
import { looksLikePickle, readNeuronIOPickle } from './pickle.js';
import { neuronioShardWriter, type ShardCredits, sampleFromSimulation, type VoltageType } from './shards.js';
import type { Simulation } from './simulation.js';

export interface ConvertOptions extends ShardCredits {
  /** How voltages are kept; default `float16`. */
  voltages?: VoltageType;
  /** Simulations per shard; default 128 (about 12 MB), as in a published file. */
  perShard?: number;
  /** Which simulations to take, by name; default all. */
  select?(name: string): boolean;
  /** Called after each simulation. */
  onSimulation?(name: string, count: number): void;
}

export interface Converted {
  /** The shards written, in order: `<prefix>-0000.shard`, … */
  readonly files: readonly string[];
  readonly simulations: number;
  readonly bytes: number;
}

/**
 * Converts NeuronIO data to shards `<prefix>-0000.shard`, `<prefix>-0001.shard`, …, one shard in memory at a time. A
 * shard that is there already is not overwritten: the call is refused before anything is read.
 *
 * @param prefix folder and start of the file names, such as `data/train`
 */
export async function convertNeuronIO(
  data: NeuronIOInput | readonly NeuronIOInput[],
  prefix: string,
  options: ConvertOptions,
): Promise<Converted> {
  const { perShard = 128, voltages = 'float16', select = () => true } = options;
  requireInteger('convertNeuronIO', 'perShard', perShard, { minimum: 1 });
  const pathOf = (shard: number) => `${prefix}-${String(shard).padStart(4, '0')}.shard`;
  const refuseExisting = async (path: string) => {
    if (!(await exists(path))) return;
    throw inputError('convertNeuronIO', `no shards ${prefix}-….shard`, path, 'choose another name or remove them');
  };
  await refuseExisting(pathOf(0));
  const files: string[] = [];
  let writer = neuronioShardWriter(options);
  let simulations = 0;
  let bytes = 0;
  const flush = async () => {
    const path = pathOf(files.length);
    await refuseExisting(path);
    const content = writer.finish();
    await writeFileAtomically(path, content);
    files.push(path);
    bytes += content.length;
    writer = neuronioShardWriter(options);
  };
  const take = async (simulation: Simulation) => {
    if (!select(simulation.name)) return;
    await writer.add(sampleFromSimulation(simulation, voltages));
    simulations++;
    options.onSimulation?.(simulation.name, simulations);
    if (writer.samples === perShard) await flush();
  };
  await eachFile(data, async (source, reopen) => {
    const head = await source.read(0, Math.min(16, source.size));
    // A pickle is converted while it is read, so that its simulations are never all in memory.
    if (looksLikePickle(head)) return (await readNeuronIOPickle(source, take)) > 0;
    const entries = await entriesOf(source, reopen);
    for (const entry of entries ?? []) if (select(entry.info.name)) await take(await entry.load());
    return entries !== undefined;
  });
  if (writer.samples > 0) await flush();
  if (simulations === 0) throw inputError('convertNeuronIO', 'at least one selected simulation', 'none');
  return { files, simulations, bytes };
}
