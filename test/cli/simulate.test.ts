/** `dendra simulate` and `dendra cells`, as a user runs them. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesSource, readNpz } from '../../src/io/index.js';
import { assert, suite, temporaryFolder } from '../harness.js';
import { dendra, jsonOf } from './dendra.js';

const test = suite('cli/simulate');

test('cells lists what simulate takes', async () => {
  const listed = jsonOf(await dendra(['cells', '--json']));
  const names = listed.cells.map((cell: { name: string }) => cell.name);
  assert.ok(names.includes('l5pc-stylised') && names.includes('squid-axon'));
  assert.ok(listed.protocols.some((protocol: { name: string }) => protocol.name === 'neuronio'));
});

test('a step into the squid axon: spikes, and traces that NumPy reads', async () => {
  const out = join(temporaryFolder(), 'axon');
  const options = ['--protocol', 'constant', '--amplitude', '2000', '--duration', '40', '--out', out, '--json'];
  const result = jsonOf(await dendra(['simulate', 'squid-axon', ...options]));
  assert.ok(result.spikes >= 2, `${result.spikes} spikes`);
  const arrays = await readNpz(bytesSource(readFileSync(join(out, 'traces.npz')), 'traces.npz'));
  assert.equal([...arrays.keys()].sort(), ['first', 'last', 'spikes', 't']);
  assert.is(arrays.get('first')!.data.length, 1600);
  for (const name of ['voltage.svg', 'morphology.svg']) assert.ok(existsSync(join(out, name)), name);
  const again = await dendra(['simulate', 'squid-axon', ...options]);
  assert.is(again.code, 2, 'what is there is not overwritten');
});

test('a NeuronIO dataset without any file, in two shards of work, that info reads', async () => {
  const out = join(temporaryFolder(), 'own');
  const base = ['simulate', 'l5pc-stylised', '--protocol', 'neuronio', '--simulations', '2', '--per-file', '1'];
  const common = [...base, '--duration', '20 ms', '--dt', '0.1', '--seed', '1', '--out', out, '--json'];
  const first = jsonOf(await dendra([...common, '--shard', '1/2']));
  const second = jsonOf(await dendra([...common, '--shard', '2/2']));
  assert.equal([first.simulations, second.simulations], [1, 1]);
  for (const name of ['own-0001.shard', 'input.svg', 'voltage.svg']) assert.ok(existsSync(join(out, name)), name);
  const info = jsonOf(await dendra(['info', out, '--json']));
  assert.ok(JSON.stringify(info).includes('seed_00002'));
});

test('a channel from a JSON file changes the cell', async () => {
  const file = join(temporaryFolder(), 'slow.json');
  const mechanism = {
    name: 'K_slow',
    parameters: { gbar: { value: '1000 pS/um2', unit: 'S/cm2' } },
    states: { n: { inf: '1/(1+exp(-(v+30)/9))', tau: '5 + 40*exp(-((v+40)/25)^2)' } },
    currents: { k: 'gbar*n^4*(v-ek)' },
  };
  writeFileSync(file, JSON.stringify({ where: 'axon', mechanism }));
  const run = ['simulate', 'squid-axon', '--protocol', 'constant', '--amplitude', '2000', '--duration', '40', '--json'];
  const plain = jsonOf(await dendra(run));
  const changed = jsonOf(await dendra([...run, '--channels', file]));
  const lowest = ({ sites }: typeof plain) => sites[0].lowestMv;
  assert.ok(Math.abs(lowest(changed) - lowest(plain)) > 0.1, `${lowest(changed)} and ${lowest(plain)} mV`);
  writeFileSync(file, JSON.stringify([{ mechanism: { ...mechanism, currents: { k: 'gbar*n^4*(v-ej)' } } }]));
  const { code, stdout } = await dendra([...run, '--channels', file]);
  assert.is(code, 2);
  assert.match(stdout, /slow\.json, entry 1: K_slow\.currents\.k: expected names it knows/);
});

test('mistakes are named, exit code 2', async () => {
  const folder = temporaryFolder();
  const bad = join(folder, 'bad.swc');
  writeFileSync(bad, '1 1 0 0 0 1 -1\n2 3 5 zero 0 1 1\n');
  const cases: [string[], RegExp][] = [
    [['l5pc-stylizd'], /did you mean l5pc-stylised/],
    [['l5pc-hay3'], /expected a morphology file, got none; the published one is cell1\.asc/],
    [['l5pc-hay3', '--morphology', bad], /bad\.swc, line 2: expected seven numbers/],
    [['l5pc-stylised', '--protocol', 'neuronio'], /--out: expected a folder/],
    [['l5pc-stylised', '--seed', '1'], /--seed: expected --protocol neuronio/],
    [['ball-and-stick', '--protocol', 'bac'], /an apical dendrite that reaches 620/],
    [['l5pc-stylised', '--protocol', 'neuronio', '--out', folder, '--shard', '4/3'], /--shard: expected i\/n/],
  ];
  for (const [words, pattern] of cases) {
    const { code, stderr } = await dendra(['simulate', ...words]);
    assert.is(code, 2, words.join(' '));
    assert.match(stderr, pattern);
  }
});

test.withReference("the BAC protocol on the published cell: three spikes, at NEURON's times", async (reference) => {
  const file = reference('biophysics/morphologies/hay/cell1.asc');
  const result = jsonOf(
    await dendra(['simulate', 'l5pc-hay3', '--morphology', file, '--protocol', 'bac', '--duration', '340', '--json']),
  );
  const expected = JSON.parse(readFileSync(reference('biophysics/hay3_BAC_be_0.025.json'), 'utf8'));
  assert.is(result.spikes, 3);
  result.spikesMs.forEach((t: number, i: number) => {
    assert.ok(Math.abs(t - expected.spikes[i]) < 0.051, `${t} and ${expected.spikes[i]}`);
  });
});

test.run();
