import fc from 'fast-check';
import {
  associativeRecall,
  byteText,
  inductionHeads,
  passkey,
  selectiveCopying,
  splitBytes,
  type TokenSource,
  tokenTasks,
} from '../../src/data/index.js';
import { assert, suite, throws } from '../harness.js';

const test = suite('data/tokens');

/** Sequences of a source with their labels, as plain lists. */
function sequences(source: TokenSource, length: number, samples = 20, seed = 1) {
  const { ids, labels } = source.batch({ seed, purpose: 'train', step: 3, samples, length });
  return Array.from({ length: samples }, (_, b) => {
    const part = (all: Int32Array) => Array.from(all.subarray(b * length, (b + 1) * length));
    return { ids: part(ids), labels: part(labels) };
  });
}

const asked = (labels: readonly number[]) => labels.flatMap((label, t) => (label >= 0 ? [{ t, label }] : []));

test('a batch is a function of seed, purpose and step', () => {
  for (const make of Object.values(tokenTasks)) {
    const source = make({});
    const request = { seed: 5, purpose: 'train', step: 7, samples: 2, length: 120 };
    const first = source.batch(request);
    source.batch({ ...request, step: 8 });
    assert.equal(make({}).batch(request), first, source.name);
    for (const change of [{ seed: 6 }, { purpose: 'valid' }, { step: 8 }]) {
      assert.not.equal(
        source.batch({ ...request, ...change }).ids,
        first.ids,
        `${source.name} ${JSON.stringify(change)}`,
      );
    }
  }
});

test('ids and labels stay in the vocabulary, at the shortest length too', () => {
  const all = [...Object.values(tokenTasks).map((make) => make({})), inductionHeads({ questions: 3 })];
  for (const source of all) {
    for (const length of [source.shortest, source.shortest + 1, 2 * source.shortest + 5]) {
      for (const { ids, labels } of sequences(source, length)) {
        assert.ok(
          ids.every((id) => id >= 0 && id < source.vocabulary),
          source.name,
        );
        assert.ok(
          labels.every((label) => label >= -1 && label < source.vocabulary),
          source.name,
        );
        assert.ok(asked(labels).length > 0, source.name);
      }
    }
  }
});

test('induction: every trigger after the first is to be answered by what followed the first', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 30 }), (questions, more) => {
      const source = inductionHeads({ questions });
      for (const { ids, labels } of sequences(source, source.shortest + more, 5)) {
        const places = ids.flatMap((id, t) => (id === 15 ? [t] : []));
        assert.is(places.length, questions + 1);
        assert.is(places.at(-1), ids.length - 1);
        const answer = ids[places[0] + 1];
        assert.equal(
          asked(labels),
          places.slice(1).map((t) => ({ t, label: answer })),
        );
        for (const t of places.slice(1, -1)) assert.is(ids[t + 1], answer);
      }
    }),
  );
});

test('induction: depth 0 puts the pair first, depth 1 as late as can be', () => {
  for (const { ids } of sequences(inductionHeads({ depth: 0 }), 40)) assert.is(ids[0], 15);
  for (const { ids } of sequences(inductionHeads({ depth: 1 }), 40)) assert.is(ids[36 + 0], 15);
});

test('copying: what is asked for is what stood among the blanks, in order', () => {
  for (const { ids, labels } of sequences(selectiveCopying({ items: 4 }), 30)) {
    const items = ids.slice(0, 26).filter((id) => id !== 0);
    assert.equal(
      asked(labels).map(({ label }) => label),
      items,
    );
    assert.equal(
      asked(labels).map(({ t }) => t),
      [26, 27, 28, 29],
    );
    assert.ok(ids.slice(26).every((id) => id === 15));
  }
});

test('recall: each key is asked for once, and answered by its value', () => {
  for (const noise of [false, true]) {
    for (const { ids, labels } of sequences(associativeRecall({ pairs: 3, noise }), 40)) {
      const values = new Map([0, 1, 2].map((k) => [ids[2 * k], ids[2 * k + 1]]));
      assert.is(values.size, 3);
      const questions = asked(labels);
      assert.equal(questions.map(({ t }) => ids[t]).sort(), [...values.keys()].sort());
      for (const { t, label } of questions) {
        assert.ok(t >= 6);
        assert.is(label, values.get(ids[t]));
      }
      for (const key of values.keys()) assert.is(ids.filter((id) => id === key).length, 2, 'a key comes twice');
    }
  }
});

test('recall: gaps before a question are mostly short', () => {
  const times = sequences(associativeRecall({ pairs: 4 }), 256, 100).flatMap(({ labels }) =>
    asked(labels).map(({ t }) => t),
  );
  times.sort((a, b) => a - b);
  assert.ok(times[200] < 40, `median ${times[200]}`);
  assert.ok(times[399] > 150, `latest ${times[399]}`);
});

test('passkey: the number that is told is asked for', () => {
  for (const { ids, labels } of sequences(passkey({ digits: 4 }), 160)) {
    const text = String.fromCharCode(...ids);
    const [, key] = /The pass key is (\d{4})\. Mind it\. /.exec(text)!;
    assert.is(text.slice(-19), `The pass key is ${key.slice(0, 3)}`);
    assert.is(String.fromCharCode(...asked(labels).map(({ label }) => label)), key);
    assert.equal(
      asked(labels).map(({ t }) => t),
      [156, 157, 158, 159],
    );
  }
});

test('passkey: every question asks for the same number, the last one at the end', () => {
  for (const { ids, labels } of sequences(passkey({ digits: 2, questions: 3 }), 150)) {
    const text = String.fromCharCode(...ids);
    const key = /The pass key is (\d\d)\. Mind it\. /.exec(text)![1];
    assert.is(text.split(`The pass key is ${key}. `).length, 4, text);
    assert.is(text.slice(-17), `The pass key is ${key[0]}`);
    const questions = asked(labels);
    assert.is(questions.map(({ label }) => String.fromCharCode(label)).join(''), key.repeat(3));
    for (const { t, label } of questions) if (t < 149) assert.is(ids[t + 1], label);
    assert.is(questions[5].t, 149);
    assert.ok(!ids.includes(0), 'filler is everywhere');
  }
});

test('bytes: the next byte is asked for; the end of the text is held out', () => {
  const text = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
  const { train, valid } = splitBytes(text, 0.2);
  assert.equal([train.length, valid.length], [800, 200]);
  const source = byteText({ train, valid });
  const { ids, labels } = source.batch({ seed: 0, purpose: 'train', step: 0, samples: 4, length: 50 });
  for (let i = 0; i < ids.length; i++) assert.is(labels[i], (ids[i] + 1) % 251);
  const held = byteText({ train: new Uint8Array(100).fill(1), valid: new Uint8Array(100).fill(2) });
  const of = (purpose: string) => held.batch({ seed: 0, purpose, step: 0, samples: 1, length: 10 }).ids;
  assert.ok(of('train').every((id) => id === 1) && of('valid').every((id) => id === 2));
});

test('refuses what does not fit', async () => {
  const request = { seed: 0, purpose: 'train', step: 0, samples: 1, length: 7 };
  await throws(
    () => selectiveCopying({ items: 4 }).batch(request),
    /copying.batch: expected a length of at least 8, got 7/,
  );
  await throws(() => associativeRecall({ vocabulary: 8, pairs: 4 }), /at most 3 `pairs` in a vocabulary of 8, got 4/);
  await throws(() => associativeRecall({ vocabulary: 9 }), /an even `vocabulary`, got 9/);
  await throws(() => inductionHeads({ depth: 2 }), /`depth` to be at most 1, got 2/);
  await throws(
    () => byteText(splitBytes(new Uint8Array(20))).batch({ ...request, length: 30 }),
    /more than 30 bytes to train on, got 18/,
  );
});

test.run();
