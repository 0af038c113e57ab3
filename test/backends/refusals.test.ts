/** What a plan refuses before or while it runs, alike on every backend of the CPU; afterwards it works. */
import { backends, openSession } from '../../src/backends/index.js';
import { type Events, eventsFromDense } from '../../src/base/events.js';
import { apply, input, variable } from '../../src/graph/index.js';
import { embedding, linear, scale, softmaxCrossEntropy } from '../../src/ops/index.js';
import { allClose, suite, throws } from '../harness.js';

const test = suite('backends/refusals');

for (const { name: backend } of backends.filter(({ name }) => name !== 'webgpu')) {
  test(`${backend}: events that can't be are refused with the input named`, async () => {
    const session = await openSession(backend, { threads: 2 });
    session.define('w', [2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const y = apply(linear, { x: input('spikes', 'events', [2, 3, 5]), weight: variable('w', [2, 5]) }).y;
    const plan = await session.compile({ outputs: { y } });
    const dense = new Float32Array(30);
    for (const i of [0, 7, 13, 29]) dense[i] = 1;
    const good = eventsFromDense(dense, [2, 3, 5]);
    const before = await plan.run({ spikes: good });
    const bad = (change: Partial<Events>) => ({ spikes: { ...good, ...change } });
    await throws(
      () => plan.run(bad({ channels: Int32Array.of(0, 2, 5, 4) })),
      /input `spikes`: .*channels from 0 to 4/,
    );
    await throws(
      () => plan.run(bad({ channels: Int32Array.of(0, 2, -1, 4) })),
      /input `spikes`: .*channels from 0 to 4/,
    );
    await throws(() => plan.run(bad({ offsets: Int32Array.of(0, 1, 3, 2, 3, 3, 4) })), /offsets that never fall/);
    await throws(() => plan.run(bad({ offsets: Int32Array.of(0, 1, 1, 2, 3, 3, 9) })), /event channels and values/);
    await throws(() => plan.run(bad({ offsets: Int32Array.of(0, 1, 4) })), /event offsets/);
    await throws(() => plan.run(bad({ shape: [2, 3, 6] })), /events of shape \[2, 3, 5\]/);
    await throws(() => plan.run({}), /`spikes`/);
    const after = await plan.run({ spikes: good });
    allClose(after.y, before.y, { absolute: 0 });
    session.dispose();
  });

  test(`${backend}: ids and labels out of range are refused before anything runs`, async () => {
    const session = await openSession(backend, { threads: 2 });
    session.define('table', [3, 2], [1, 2, 3, 4, 5, 6]);
    session.define('logits', [2, 3]);
    const y = apply(embedding, { ids: input('ids', 'int', [4]), weight: variable('table', [3, 2]) }).y;
    const labels = input('labels', 'int', [2]);
    const loss = apply(softmaxCrossEntropy, { logits: variable('logits', [2, 3]), labels }).loss;
    const outputs: Record<string, typeof y> = backend === 'gpujs' ? { loss } : { y, loss };
    const plan = await session.compile({ outputs });
    const good = { ids: Int32Array.of(0, 2, 1, 2), labels: Int32Array.of(-1, 2) };
    const before = await plan.run(good);
    if (backend !== 'gpujs') {
      const ids = (...list: number[]) => plan.run({ ...good, ids: Int32Array.from(list) });
      await throws(() => ids(0, 3, 1, 2), /run: input `ids`: expected whole numbers from 0 to 2, got 3 at 1/);
      await throws(() => ids(0, 2, 1, -1), /input `ids`: expected whole numbers from 0 to 2, got -1 at 3/);
    }
    const wrong = { ...good, labels: Int32Array.of(-1, 3) };
    await throws(() => plan.run(wrong), /input `labels`: expected whole numbers of at most 2, got 3 at 1/);
    allClose((await plan.run(good)).loss, before.loss, { absolute: 0 });
    session.dispose();
  });

  test(`${backend}: sessions and plans that are closed, names that are wrong`, async () => {
    const session = await openSession(backend);
    session.define('a', [3], [1, 2, 3]);
    await throws(() => session.define('a', [3]), /a new name/);
    await throws(() => session.write('a', [1, 2]), /3 values for `a`/);
    await throws(() => session.read('b'), /`b`/);
    const double = (shape: number[]) => ({ y: apply(scale, { x: variable('a', shape) }, { factor: 2 }).y });
    await throws(() => session.compile({ outputs: double([4]) }), /variable `a` of shape \[3\]/);
    const plan = await session.compile({ outputs: double([3]) });
    allClose((await plan.run({})).y, [2, 4, 6], { absolute: 0 });
    plan.dispose();
    await throws(() => plan.run({}), /disposed/);
    session.dispose();
    await throws(() => session.read('a'), /open session/);
    await throws(() => session.compile({ outputs: double([3]) }), /open session/);
  });
}

test.run();
