/** LongMamba against a scalar transcription of the pseudo-code (docs/mamba.md 2.2), and its neighbours. */
import { Stream } from '../../src/base/random.js';
import {
  calibrateLongMamba,
  deltaScaling,
  generate,
  type LongMambaOptions,
  type MambaExtension,
  MambaModel,
  mambaRates,
  restoreExtension,
  type TokenIds,
  tokenDropping,
} from '../../src/mamba/index.js';
import { allClose, assert, suite, throws } from '../harness.js';

const test = suite('mamba/long');
const L = 24;
const backend = 'reference';
const small = { vocabulary: 11, width: 8, layers: 2, stateSize: 4 } as const;
const versions = {
  1: MambaModel.create({ ...small, timeStepMin: 0.01, timeStepMax: 0.5 }, 3),
  2: MambaModel.create({ ...small, version: 2, headWidth: 4, timeStepMin: 0.005, timeStepMax: 0.1 }, 4),
};

function tokens(length: number, seed: number, samples = 1): TokenIds {
  const stream = new Stream(seed, 'test.long');
  return { shape: [samples, length], data: Int32Array.from({ length: samples * length }, () => stream.integer(11)) };
}

const windows = [1, 2, 3].map((seed) => tokens(L, seed));

async function run(model: MambaModel, ids: TokenIds, chunkSteps = 512, on: 'reference' | 'wasm' = backend) {
  const runner = await model.open({ backend: on, chunkSteps, threads: 1 });
  try {
    return await runner.forward(ids, { taps: ['delta'] });
  } finally {
    runner.dispose();
  }
}

/** Δ of the plain model on windows: [window][layer][channel][t]. */
async function plainDeltas(model: MambaModel, list: readonly TokenIds[]): Promise<number[][][][]> {
  return Promise.all(
    list.map(async (ids) => {
      const { taps } = await run(model, ids);
      return taps.delta!.map(({ data, shape: [, steps, heads] }) =>
        Array.from({ length: heads }, (_, h) => Array.from({ length: steps }, (_, t) => data[t * heads + h])),
      );
    }),
  );
}

/** Steps 1 and 2 of the pseudo-code, one channel: P and g(S) as maxima over the windows. */
function transcribe(deltas: readonly number[][], rates: ArrayLike<number>, S: number, sc: number) {
  let P = 0;
  let g = 0;
  for (const given of deltas) {
    const bound = [...given].sort((a, b) => b - a)[Math.max(1, Math.floor(L * sc)) - 1];
    const clamped = given.map((delta) => Math.min(delta, bound));
    let product = 1;
    let T = 0;
    for (const delta of clamped) {
      let mean = 0;
      for (let n = 0; n < rates.length; n++) mean += Math.exp(-delta * rates[n]) / rates.length;
      product *= mean;
      T += delta;
    }
    P = Math.max(P, product);
    const sorted = [...clamped].sort((a, b) => b - a);
    const m = Array.from({ length: S }, (_, i) => {
      const at = Math.max(0, (i + 0.5) * (L / S) - 0.5);
      const low = Math.floor(at);
      return sorted[low] * (1 - (at - low)) + sorted[Math.min(low + 1, L - 1)] * (at - low);
    });
    let sum = 0;
    let k = 0;
    for (let i = 0; i < S; i++) {
      sum += m[i];
      if (sum > T) {
        k = i;
        break;
      }
    }
    g = Math.max(g, m[k + 1]);
  }
  return { P, g };
}

for (const version of [1, 2] as const) {
  const model = versions[version];
  const S = 72;
  const ids = tokens(S, 9);
  const options: LongMambaOptions = { trainingLength: L, theta: 0.05, clamp: 0.1 };

  test(`Mamba-${version}: each channel's Δ is that of the pseudo-code`, async () => {
    const extension = await calibrateLongMamba(model, windows, options, { backend });
    const before = await plainDeltas(model, windows);
    const plain = (await run(model, ids)).taps.delta![0];
    const { taps } = await run(model.withExtension(extension), ids);
    const filtered = taps.delta![0];
    const heads = plain.shape[2];
    // The first layer sees the same input in both, so that its Δ can be told from the plain ones.
    let globals = 0;
    let held = 0;
    for (let h = 0; h < heads; h++) {
      const { P, g } = transcribe(
        before.map((window) => window[0][h]),
        mambaRates(model, 0)[h],
        S,
        0.1,
      );
      const isGlobal = P > 0.05;
      globals += Number(isGlobal);
      for (let t = 0; t < S; t++) {
        const delta = plain.data[t * heads + h];
        const keep = !isGlobal || delta > Math.fround(g);
        held += Number(!keep);
        assert.is(filtered.data[t * heads + h], keep ? delta : 0, `channel ${h}, step ${t}`);
      }
    }
    assert.ok(globals > 0 && held > 0, `${globals} global channels, ${held} steps held`);
    if (version === 1) assert.ok(globals < heads, 'some channels are local');
  });

  test(`Mamba-${version}: to the bit the plain model up to L, another beyond it`, async () => {
    const extension = await calibrateLongMamba(model, windows, { ...options, from: 1 }, { backend });
    for (const [length, same] of [
      [L, true],
      [L - 7, true],
      [S, false],
    ] as const) {
      const part = tokens(length, 12, 2);
      const plain = (await run(model, part)).logits!.data;
      const extended = (await run(model.withExtension(extension), part)).logits!.data;
      assert.is(
        plain.every((value, i) => Object.is(value, extended[i])),
        same,
        `length ${length}`,
      );
    }
  });

  test(`Mamba-${version}: chunks give what the whole gives, for every way of extending`, async () => {
    const ways: MambaExtension[] = [
      await calibrateLongMamba(model, windows, options, { backend }),
      deltaScaling(model.config, { trainingLength: L }),
      tokenDropping(model.config, { trainingLength: L, layers: [0, 1], least: 5 }),
    ];
    const part = tokens(S, 13, 2);
    for (const extension of ways) {
      const extended = model.withExtension(extension);
      const whole = (await run(extended, part)).logits!.data;
      allClose((await run(extended, part, 17)).logits!.data, whole, { absolute: 1e-6 }, extension.method);
      const { tensors, settings, method } = extension;
      const saved = JSON.parse(JSON.stringify({ method, ...settings }));
      const again = restoreExtension('model.json', model.config, saved, tensors);
      allClose(
        (await run(model.withExtension(again), part)).logits!.data,
        whole,
        { absolute: 0 },
        `${method} restored`,
      );
    }
  });
}

test('on wasm too, every way of extending leaves a sequence of at most L as it is, to the bit', async () => {
  for (const plain of Object.values(versions)) {
    const ids = tokens(L, 14, 2);
    const expected = (await run(plain, ids, 512, 'wasm')).logits!.data;
    for (const extension of [
      await calibrateLongMamba(plain, windows, { trainingLength: L, globalShare: 1 }, { backend }),
      deltaScaling(plain.config, { trainingLength: L }),
      tokenDropping(plain.config, { trainingLength: L, layers: [0, 1] }),
    ]) {
      const { data } = (await run(plain.withExtension(extension), ids, 512, 'wasm')).logits!;
      assert.ok(
        expected.every((value, i) => Object.is(value, data[i])),
        extension.method,
      );
    }
  }
});

const model = versions[1];

test('thresholds of S, gate, lookup, strictness and the factor for what does not pass', async () => {
  const S = 100;
  const ids = tokens(S, 21);
  const base = { trainingLength: L, theta: 1e-40, clamp: 0, lengths: [48, 96, 192] };
  const plain = (await run(model, ids)).taps.delta![0].data;
  const held = async (more: Partial<LongMambaOptions>) => {
    const extension = await calibrateLongMamba(model, windows, { ...base, ...more }, { backend });
    const filtered = (await run(model.withExtension(extension), ids)).taps.delta![0].data;
    return { count: filtered.filter((value, i) => value !== plain[i]).length, filtered, extension };
  };
  const { count, filtered, extension } = await held({});
  const heads = 16;
  const g = extension.tensors.get('thresholds')!.data.subarray(heads, 2 * heads);
  plain.forEach((delta, i) => {
    assert.is(filtered[i], delta > Math.fround(g[i % heads]) ? delta : 0);
  });
  assert.is((await held({ from: S + 1 })).count, 0, 'below the gate nothing is filtered');
  assert.ok((await held({ strictness: 1.5 })).count > count, 'a stricter filter holds more');
  const halved = (await held({ factor: 0.5 })).filtered;
  plain.forEach((delta, i) => {
    assert.is(halved[i], filtered[i] === 0 ? delta / 2 : delta);
  });
  assert.is((await held({ globalShare: 0, theta: undefined })).count, 0, 'no global channel, no filter');
});

test('decoding: generated tokens all pass, or are filtered by the length so far', async () => {
  const prompt = tokens(60, 22);
  for (const decoding of ['plain', 'filtered'] as const) {
    const options = { trainingLength: L, theta: 1e-40, clamp: 0, decoding };
    const extended = model.withExtension(await calibrateLongMamba(model, windows, options, { backend }));
    const runner = await extended.open({ backend });
    const context = await runner.context(prompt);
    const { state } = await runner.forward(prompt, { context, logits: 'none' });
    const one = { shape: [1, 1], data: Int32Array.of(3) };
    const { taps } = await runner.forward(one, { state, context, at: 60, taps: ['delta'] });
    const held = taps.delta![0].data.some((value) => value === 0);
    assert.is(held, decoding === 'filtered');
    const texts = [];
    for await (const token of generate(runner, prompt.data, { tokens: 4, seed: 1 })) texts.push(token);
    assert.is(texts.length, 4);
    runner.dispose();
  }
});

test('scaling multiplies every Δ by (L/S)^power or by its layer’s factor', async () => {
  const S = 96;
  const ids = tokens(S, 23);
  const plain = (await run(model, ids)).taps.delta![0].data;
  const scaled = async (options: object) => {
    const extension = deltaScaling(model.config, { trainingLength: L, ...options });
    return (await run(model.withExtension(extension), ids)).taps.delta![0].data;
  };
  allClose(
    await scaled({}),
    plain.map((delta) => delta / 4),
    { absolute: 0 },
  );
  allClose(
    await scaled({ power: 0.5 }),
    plain.map((delta) => delta / 2),
    { absolute: 0 },
  );
  allClose(
    await scaled({ factors: [0.25, 1] }),
    plain.map((delta) => delta / 4),
    { absolute: 0 },
  );
});

test('dropping hides all tokens from a layer and those after it, but the ones with the largest ‖Δ‖', async () => {
  const S = 80;
  const ids = tokens(S, 24);
  const extension = tokenDropping(model.config, { trainingLength: L, layers: [0], keep: 30 });
  const plain = (await run(model, ids)).taps.delta!;
  const dropped = (await run(model.withExtension(extension), ids)).taps.delta!;
  const norm = (t: number) =>
    Array.from(plain[0].data.subarray(t * 16, (t + 1) * 16)).reduce((sum, delta) => sum + delta ** 2, 0);
  const kept = new Set([...Array(S).keys()].sort((a, b) => norm(b) - norm(a)).slice(0, 30));
  for (let t = 0; t < S; t++) {
    for (const layer of [0, 1]) {
      const open = dropped[layer].data.subarray(t * 16, (t + 1) * 16).every((delta) => delta > 0);
      assert.is(open, kept.has(t), `layer ${layer}, step ${t}`);
    }
  }
});

test('refuses options and tables that do not fit', async () => {
  const options = { trainingLength: L };
  await throws(
    () => calibrateLongMamba(model, windows, { ...options, theta: 1, globalShare: 1 }),
    /`theta` or `globalShare`/,
  );
  await throws(
    () => calibrateLongMamba(model, [tokens(L + 1, 1)], options, { backend }),
    /windows of 24 steps, got 25/,
  );
  await throws(() => deltaScaling(model.config, { ...options, factors: [1] }), /2 `factors`, one a layer, got 1/);
  await throws(() => tokenDropping(model.config, { ...options, layers: [2] }), /ascending `layers` below 2, got 2/);
  await throws(
    () => restoreExtension('m.json', model.config, { method: 'longmama' }, new Map()),
    /did you mean longmamba/,
  );
  await throws(
    () => restoreExtension('m.json', model.config, { method: 'longmamba', ...options }, new Map()),
    /`extension.logKept` of shape \[2, 16\], got no such tensor/,
  );
});

test.run();
