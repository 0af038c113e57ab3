/** Language models scored by the binary. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { evalTokens } from '../../src/cli/eval-tokens.js';
import { encodeNpz, readNpz } from '../../src/io/index.js';
import { MambaModel } from '../../src/mamba/index.js';
import { withFile } from '../../src/runtime/index.js';
import { saveModel } from '../../src/train/index.js';
import { assert, suite, temporaryFolder, throws } from '../harness.js';
import { dendra, jsonOf } from './dendra.js';

const test = suite('cli/eval-tokens');
const fixtures = join(process.cwd(), 'test', 'mamba', 'fixtures');

test.withReference('the golden model has the golden loss', async (reference) => {
  const golden = reference('mamba', 'golden');
  const data = reference('mamba', 'golden', 'model.npz');
  const ran = await dendra(['eval', golden, '--task', 'tokens', '--data', data, '--backend', 'wasm', '--json']);
  assert.is(ran.code, 0, ran.stderr);
  const { loss, perplexity, tokens, ...rest } = jsonOf(ran);
  const [expected] = (await withFile(data, (source) => readNpz(source))).get('loss')!.data;
  assert.ok(Math.abs(loss - expected) <= 1e-5, `${loss} for ${expected}`);
  assert.ok(Math.abs(perplexity - Math.exp(expected)) <= 1e-3);
  // 2 sequences of 32 tokens, each but the first predicted.
  assert.equal({ tokens, ...rest }, { tokens: 62, backend: 'wasm' });
});

test('bytes of any file, whole and cut; a published folder; what is refused', async () => {
  const folder = temporaryFolder();
  const model = MambaModel.create({ vocabulary: 256, width: 8, layers: 1 }, 1);
  await saveModel(join(folder, 'bytes'), model);
  const file = join(folder, 'data.bin');
  writeFileSync(
    file,
    Uint8Array.from({ length: 700 }, (_, i) => (i * 37) % 256),
  );
  const score = (more: object = {}) =>
    evalTokens({ model: join(folder, 'bytes'), data: [file], bytes: true, session: { threads: 1 }, ...more });
  const whole = await score();
  assert.is(whole.tokens, 699);
  assert.ok(Math.abs(whole.loss - Math.log(256)) < 0.3);
  assert.is((await score({ length: 100 })).tokens, 693);
  await throws(() => score({ bytes: false }), /tokenizer.json: expected a tokenizer to read .*data.bin with.*--bytes/);
  const ids = join(folder, 'ids.npz');
  const array = { dtype: 'int32', shape: [1, 4], data: Int32Array.of(1, 2, 3, 99) } as const;
  writeFileSync(ids, await encodeNpz([['input_ids', array]]));
  const published = { model: join(fixtures, 'mamba2-hf'), data: [ids], bytes: false };
  await throws(() => score(published), /token ids from 0 to 23, got 99 at 3/);
});

test.run();
