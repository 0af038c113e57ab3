import { readdirSync } from 'node:fs';
import { bytesSource, readTorch, writeZip } from '../../src/io/index.js';
import { withFile } from '../../src/runtime/index.js';
import { assert, suite, throws } from '../harness.js';
import { refusesOtherKinds, refusesTruncation, survivesFlips } from './damage.js';
import { call, global, pickle, Raw, Tuple } from './pickler.js';

const test = suite('io/torch');

interface TensorSpec {
  type?: string;
  key?: string;
  count: number;
  offset?: number;
  shape: number[];
  strides: number[];
}

/** The instructions that `torch.save` writes for a tensor. */
function tensor({ type = 'FloatStorage', key = '0', count, offset = 0, shape, strides }: TensorSpec): Raw {
  const id = new Tuple(['storage', global('torch', type), key, 'cuda:0', count]);
  const storage = new Raw([...pickle(id).slice(2, -1), 0x51]);
  const hooks = call('collections', 'OrderedDict');
  return call(
    'torch._utils',
    '_rebuild_tensor_v2',
    storage,
    offset,
    new Tuple(shape),
    new Tuple(strides),
    false,
    hooks,
  );
}

const floats = (...values: number[]) => new Uint8Array(Float32Array.from(values).buffer);

async function archive(root: unknown, storages: Record<string, Uint8Array>, more: [string, Uint8Array][] = []) {
  const data = Object.entries(storages).map(([key, bytes]): [string, Uint8Array] => [`m/data/${key}`, bytes]);
  return writeZip([['m/data.pkl', pickle(root)], ...data, ...more], false);
}

const read = async (root: unknown, storages: Record<string, Uint8Array> = {}, more: [string, Uint8Array][] = []) =>
  readTorch(bytesSource(await archive(root, storages, more), 'm.pt'));

test('reads views of storages row-major, whatever their strides', async () => {
  const tensors = await read(
    new Map<string, unknown>([
      ['plain', tensor({ count: 6, shape: [2, 3], strides: [3, 1] })],
      ['transposed', tensor({ count: 6, shape: [3, 2], strides: [1, 3] })],
      ['part', tensor({ count: 6, offset: 4, shape: [2], strides: [1] })],
      ['scalar', tensor({ count: 6, offset: 5, shape: [], strides: [] })],
      ['empty', tensor({ count: 6, shape: [0, 5], strides: [5, 1] })],
      ['flags', tensor({ type: 'BoolStorage', key: '1', count: 3, shape: [3], strides: [1] })],
      [
        'inner',
        new Map([
          [
            'weight',
            call('torch._utils', '_rebuild_parameter', tensor({ count: 6, shape: [1], strides: [1] }), true, null),
          ],
        ]),
      ],
    ]),
    { 0: floats(0, 1, 2, 3, 4, 5), 1: new Uint8Array([1, 0, 1]) },
  );
  assert.equal([...tensors.keys()], ['plain', 'transposed', 'part', 'scalar', 'empty', 'flags', 'inner.weight']);
  assert.equal([...(tensors.get('plain')?.data ?? [])], [0, 1, 2, 3, 4, 5]);
  assert.equal([...(tensors.get('transposed')?.data ?? [])], [0, 3, 1, 4, 2, 5]);
  assert.equal([...(tensors.get('part')?.data ?? [])], [4, 5]);
  assert.equal(tensors.get('scalar'), { dtype: 'float32', shape: [], data: Float32Array.of(5) });
  assert.equal(tensors.get('empty')?.shape, [0, 5]);
  assert.equal(tensors.get('flags'), { dtype: 'bool', shape: [3], data: new Uint8Array([1, 0, 1]) });
});

test('a state dict may carry the metadata that torch.save adds, and big-endian storages are turned', async () => {
  const dict = new Raw([
    ...call('collections', 'OrderedDict').bytes,
    ...pickle('w').slice(2, -1),
    ...tensor({ count: 1, shape: [1], strides: [1] }).bytes,
    0x73, // SETITEM
    ...pickle(new Map([['_metadata', new Map([['', new Map([['version', 1]])]])]])).slice(2, -1),
    0x62, // BUILD
  ]);
  const big = new Uint8Array(4);
  new DataView(big.buffer).setFloat32(0, 2.5, false);
  const order = (text: string): [string, Uint8Array][] => [['m/byteorder', new TextEncoder().encode(text)]];
  assert.equal([...((await read(dict, { 0: big }, order('big'))).get('w')?.data ?? [])], [2.5]);
  assert.equal([...((await read(dict, { 0: floats(2.5) }, order('little'))).get('w')?.data ?? [])], [2.5]);
  await throws(() => read(dict, { 0: big }, order('middle')), /m\.pt: expected byte order little or big/);
});

test('tensors that leave their storage, or unfold it, are refused', async () => {
  const refused: [TensorSpec, RegExp][] = [
    [{ count: 6, shape: [7], strides: [1] }, /a tensor inside its storage of 6 elements, got shape \[7\]/],
    [{ count: 6, offset: 1, shape: [2, 3], strides: [3, 1] }, /inside its storage/],
    [{ count: 6, shape: [1000000, 1000000], strides: [0, 0] }, /inside its storage|expanded/],
    [{ count: 6, shape: [2], strides: [-1] }, /expected a tensor with a storage/],
    [{ count: 6, shape: [2, 3], strides: [1] }, /expected a tensor with a storage/],
    [{ count: 600, shape: [600], strides: [1] }, /600 float32 in storage 0, got 24 bytes/],
    [{ count: 6, key: '9', shape: [6], strides: [1] }, /expected an entry m\/data\/9/],
    [{ count: 6, key: '../x', shape: [6], strides: [1] }, /references to storages/],
    [{ count: 6, type: 'ComplexFloatStorage', shape: [6], strides: [1] }, /the global "torch\.ComplexFloatStorage"/],
  ];
  for (const [spec, message] of refused) {
    await throws(() => read(new Map([['w', tensor(spec)]]), { 0: floats(0, 1, 2, 3, 4, 5) }), message);
  }
  const views = new Map(
    Array.from({ length: 3000 }, (_, i) => [`w${i}`, tensor({ count: 20000, shape: [20000], strides: [1] })]),
  );
  await throws(() => read(views, { 0: new Uint8Array(80000) }), /m\.pt: expected at most \d+ elements, got 60000000/);
});

test('hostile and unsuitable checkpoints are refused by name', async () => {
  await throws(
    () => read(new Map([['w', call('os', 'system', 'id')]])),
    /m\.pt: expected only .*, got the global "os\.system"; it is not allowed/,
  );
  await throws(
    () => read(new Map([['epoch', 3]])),
    /m\.pt: expected tensors only at epoch, got 3; save the state_dict/,
  );
  await throws(() => read([1]), /m\.pt: expected tensors only, got \[1\]/);
  const legacy = new Uint8Array([0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46]);
  await throws(() => readTorch(bytesSource(legacy, 'old.pt')), /old\.pt: expected a checkpoint in the zip format/);
  const other = await writeZip([['x', new Uint8Array(3)]]);
  await throws(() => readTorch(bytesSource(other, 'x.pt')), /x\.pt: expected one entry <name>\/data\.pkl/);
  await refusesOtherKinds(readTorch);
});

test('cut and flipped checkpoints are refused by name', async () => {
  const whole = await archive(new Map([['w', tensor({ count: 3, shape: [3], strides: [1] })]]), { 0: floats(1, 2, 3) });
  await refusesTruncation(readTorch, whole);
  await survivesFlips(readTorch, whole);
});

test.withReference('reads all 15 published checkpoints', async (reference) => {
  const folder = reference('elm', 'checkpoints');
  const models = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  assert.is(models.length, 15);
  for (const { name } of models) {
    const tensors = await withFile(`${folder}/${name}/neuronio_best_model_state.pt`, readTorch);
    const memory = name === 'best_elm_neuron' ? 100 : Number(name.replace('num_memory_', ''));
    const shapes = Object.fromEntries([...tensors].map(([key, { shape, dtype }]) => [key, [dtype, ...shape]]));
    assert.equal(
      shapes,
      {
        _proto_w_s: ['float32', 4500],
        tau_s: ['float32', 4500],
        _proto_tau_m: ['float32', memory],
        input_to_synapse_indices: ['int64', 4500],
        valid_indices_mask: ['bool', 4500],
        'mlp.network.0.weight': ['float32', 2 * memory, 45 + memory],
        'mlp.network.0.bias': ['float32', 2 * memory],
        'mlp.network.2.weight': ['float32', memory, 2 * memory],
        'mlp.network.2.bias': ['float32', memory],
        'w_y.weight': ['float32', 2, memory],
        'w_y.bias': ['float32', 2],
      },
      name,
    );
    for (const [key, { data }] of tensors) assert.ok(data.every(Number.isFinite), `${name}: ${key}`);
    assert.is(
      Float64Array.from(tensors.get('valid_indices_mask')?.data ?? []).reduce((sum, value) => sum + value, 0),
      4282,
    );
    assert.ok(tensors.get('input_to_synapse_indices')?.data.every((index) => index >= 0 && index < 1278));
  }
});

test.run();
