/**
 * Published layouts against the transformers package: fixtures/ is made by scripts/fixtures/mamba.py. Logits, loss, every gradient,
 * chunks and single steps; and what is refused.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSession, webgpu } from '../../src/backends/index.js';
import { apply, gradient, input, type Tensor } from '../../src/graph/index.js';
import { bytesSource, encodeSafetensors, readSafetensors } from '../../src/io/index.js';
import { readNpz } from '../../src/io/npz.js';
import { type MambaModel, mambaLogits, openTokenizer, type TokenIds } from '../../src/mamba/index.js';
import { softmaxCrossEntropy } from '../../src/ops/index.js';
import { withFile } from '../../src/runtime/files.js';
import { loadModel, memoryFolder, saveModel } from '../../src/train/index.js';
import { allClose, assert, suite, throws } from '../harness.js';
import { get, nextTokens } from './golden.js';

const test = suite('mamba/published');
const fixtures = join(process.cwd(), 'test', 'mamba', 'fixtures');
const bytesOf = (...path: string[]) => new Uint8Array(readFileSync(join(fixtures, ...path)));

const gpu = await webgpu.probe();
if (!gpu.available) test.skip('webgpu', gpu.reason);
const machines = [
  { backend: 'reference', precision: 'float64', output: 1e-5, slope: 1e-4, chunks: [512, 5, 1] },
  { backend: 'wasm', precision: 'float32', output: 1e-5, slope: 1e-4, chunks: [512, 5, 1] },
  ...(gpu.available
    ? [{ backend: 'webgpu', precision: 'float32', output: 1e-4, slope: 1e-3, chunks: [5] } as const]
    : []),
] as const;

for (const name of ['mamba2-hf', 'mamba2-spaces', 'mamba1-hf']) {
  for (const { backend, precision, output, slope, chunks } of machines) {
    // Shaders take long to compile in software; the first has groups and is the most general.
    if (backend === 'webgpu' && name !== 'mamba2-hf') continue;
    test(`${name} on ${backend}: logits and every gradient`, async () => {
      const loaded = await loadModel(join(fixtures, name));
      assert.is(loaded.family, 'mamba');
      const model = loaded.model as MambaModel;
      const expected = await withFile(join(fixtures, name, 'expected.npz'), (source) => readNpz(source));
      const { shape, data } = get(expected, 'input_ids');
      const ids: TokenIds = { shape, data: Int32Array.from(data) };
      for (const chunkSteps of chunks) {
        const runner = await model.open({ backend, precision, chunkSteps });
        const { logits } = await runner.forward(ids);
        allClose(logits!.data, get(expected, 'logits').data, { scaled: output }, `logits in chunks of ${chunkSteps}`);
        const { loss } = await runner.loss(ids);
        allClose([loss], [...get(expected, 'loss').data], { absolute: output }, 'loss');
        runner.dispose();
      }
      const session = await openSession(backend, { precision });
      model.define(session);
      const traced = model.trace(input('ids', 'int', ids.shape));
      const logits = mambaLogits(model.config, traced.hidden, traced.parameters);
      const { loss } = apply(softmaxCrossEntropy, { logits, labels: input('labels', 'int', ids.shape) });
      const names = [...model.parameters.keys()];
      const wrt = names.map((one) => traced.parameters[one]);
      const gradients = gradient(loss, wrt);
      const outputs: Record<string, Tensor> = Object.fromEntries(names.map((one, k) => [one, gradients[k]]));
      const results = await (await session.compile({ outputs })).run({ ids: ids.data, labels: nextTokens(ids) });
      for (const one of names) {
        allClose(results[one], get(expected, `grad/${one}`).data, { relative: slope }, `gradient of ${one}`);
      }
      session.dispose();
    });
  }
}

test('a model that is saved and loaded again is the same', async () => {
  const { model } = await loadModel(join(fixtures, 'mamba2-hf'));
  const folder = memoryFolder();
  await saveModel(folder, model);
  const again = (await loadModel(folder)).model as MambaModel;
  assert.equal(again.config, (model as MambaModel).config);
  assert.equal(again.parameters, (model as MambaModel).parameters);
});

test('a checkpoint in parts', async () => {
  const tensors = await readSafetensors(bytesSource(bytesOf('mamba2-hf', 'model.safetensors'), 'whole'));
  const folder = memoryFolder();
  await folder.write('config.json', bytesOf('mamba2-hf', 'config.json'));
  const entries = [...tensors];
  const weightMap: Record<string, string> = {};
  for (const [k, part] of [entries.slice(0, 5), entries.slice(5)].entries()) {
    const file = `model-0000${k + 1}-of-00002.safetensors`;
    await folder.write(file, encodeSafetensors(part));
    for (const [name] of part) weightMap[name] = file;
  }
  await folder.write('model.safetensors.index.json', JSON.stringify({ metadata: {}, weight_map: weightMap }));
  const { model } = await loadModel(folder);
  const whole = (await loadModel(join(fixtures, 'mamba2-hf'))).model as MambaModel;
  assert.equal((model as MambaModel).parameters, whole.parameters);
  await folder.remove('model-00002-of-00002.safetensors');
  await throws(
    () => loadModel(folder),
    /model-00002-of-00002.safetensors: expected a part of the weights, got no such/,
  );
});

/** A copy of the Mamba-2 checkpoint with its tensors or configuration changed. */
async function changed(
  change: (tensors: Map<string, { dtype: string; shape: readonly number[]; data: ArrayLike<number> }>) => void,
  config: Record<string, unknown> = {},
) {
  const tensors = new Map(await readSafetensors(bytesSource(bytesOf('mamba2-hf', 'model.safetensors'), 'whole')));
  change(tensors as never);
  const text = new TextDecoder().decode(bytesOf('mamba2-hf', 'config.json')).replace('Infinity', '1e999');
  const folder = memoryFolder('checkpoint');
  await folder.write('config.json', JSON.stringify({ ...JSON.parse(text), time_step_limit: undefined, ...config }));
  await folder.write('model.safetensors', encodeSafetensors(tensors as never));
  return folder;
}

const A = 'backbone.layers.1.mixer.A_log';

test('bad checkpoints are refused with the tensor named', async () => {
  await loadModel(await changed(() => {}));
  const refused = async (pattern: RegExp, ...given: Parameters<typeof changed>) => {
    const folder = await changed(...given);
    await throws(() => loadModel(folder), pattern);
  };
  await refused(
    /model.safetensors: expected a tensor `backbone.layers.1.mixer.A_log` of shape \[4\], got none/,
    (tensors) => tensors.delete(A),
  );
  await refused(/an extra one, `backbone.layers.2.norm.weight`/, (tensors) =>
    tensors.set('backbone.layers.2.norm.weight', { dtype: 'float32', shape: [2], data: [1, 1] }),
  );
  await refused(/`backbone.layers.1.mixer.A_log` of shape \[4\], got \[2, 2\]/, (tensors) =>
    tensors.set(A, { ...tensors.get(A)!, shape: [2, 2] }),
  );
  await refused(/`backbone.layers.1.mixer.A_log` of a floating-point type, got int32/, (tensors) =>
    tensors.set(A, { dtype: 'int32', shape: [4], data: Int32Array.of(1, 2, 3, 4) }),
  );
  await refused(/`backbone.layers.1.mixer.A_log`: expected finite values, got NaN at index 2/, (tensors) =>
    tensors.set(A, { dtype: 'float32', shape: [4], data: Float32Array.of(1, 2, Number.NaN, 4) }),
  );
  await refused(/`lm_head.weight`: expected the numbers of the embedding/, (tensors) =>
    tensors.set('lm_head.weight', { dtype: 'float32', shape: [24, 12], data: new Float32Array(288) }),
  );
});

test('half precision is read, truncated files are not', async () => {
  const folder = await changed((tensors) => {
    tensors.set(A, { dtype: 'float16', shape: [4], data: Float32Array.of(0.5, 1, 1.5, 2) });
  });
  const { parameters } = (await loadModel(folder)).model as MambaModel;
  assert.equal([...parameters.get(A)!.data], [0.5, 1, 1.5, 2]);
  const whole = bytesOf('mamba2-hf', 'model.safetensors');
  await folder.write('model.safetensors', whole.subarray(0, whole.length - 20));
  await throws(() => loadModel(folder), /model.safetensors: backbone\.[a-z0-9._A-Z]+: expected data_offsets inside/);
  const spaces = memoryFolder('spaces');
  await spaces.write('config.json', bytesOf('mamba2-spaces', 'config.json'));
  const torch = bytesOf('mamba2-spaces', 'pytorch_model.bin');
  await spaces.write('pytorch_model.bin', torch.subarray(0, torch.length - 500));
  await throws(() => loadModel(spaces), /pytorch_model.bin/);
});

test('configurations of what is not computed here are refused by name', async () => {
  const refused = async (pattern: RegExp, config: Record<string, unknown>) => {
    const folder = await changed(() => {}, config);
    await throws(() => loadModel(folder), pattern);
  };
  await refused(/`time_step_limit` from 0 to infinity/, { time_step_limit: [0, 0.1] });
  await refused(/`hidden_act` "silu", got "gelu"/, { hidden_act: 'gelu' });
  await refused(/24 inner channels, `expand` times `hidden_size`, got 36/, { num_heads: 6 });
  await refused(/expected a folder with model.json, or an official one/, { model_type: 'llama' });
  const folder = memoryFolder('spaces');
  await folder.write('pytorch_model.bin', bytesOf('mamba2-spaces', 'pytorch_model.bin'));
  const config = JSON.parse(new TextDecoder().decode(bytesOf('mamba2-spaces', 'config.json')));
  for (const [pattern, change] of [
    [/`attn_layer_idx` \[\]/, { attn_layer_idx: [1] }],
    [/`d_intermediate` 0, got 32/, { d_intermediate: 32 }],
    [/ssm_cfg: expected `layer` "Mamba1" or "Mamba2", got "Mamba3"/, { ssm_cfg: { layer: 'Mamba3' } }],
  ] as const) {
    await folder.write('config.json', JSON.stringify({ ...config, ...change }));
    await throws(() => loadModel(folder), pattern);
  }
});

test('a tokenizer.json gives the ids of the tokenizers package', async () => {
  const json = new TextDecoder().decode(bytesOf('tokenizer.json'));
  const tokenizer = await openTokenizer('tokenizer.json', json);
  const expected: { text: string; ids: number[] }[] = JSON.parse(
    new TextDecoder().decode(bytesOf('tokenizer-expected.json')),
  );
  for (const { text, ids } of expected) {
    assert.equal([...tokenizer.encode(text)], ids, text);
    assert.is(tokenizer.decode(ids).replace('<|endoftext|>', ''), text.replace('<|endoftext|>', ''));
  }
  assert.is(tokenizer.idOf('<|endoftext|>'), 0);
  await throws(() => openTokenizer('tokenizer.json', '{'), /tokenizer.json: expected JSON/);
  await throws(() => openTokenizer('tokenizer.json', '{}'), /a tokenizer with a `model`, got none/);
});

test.run();
