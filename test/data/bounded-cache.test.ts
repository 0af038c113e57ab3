import { boundedCache } from '../../src/data/index.js';
import { assert, suite, throws } from '../harness.js';

const test = suite('data/bounded-cache');

test('remembers what fits, and lets the longest unused go', async () => {
  const loaded: number[] = [];
  const get = boundedCache({
    load: async (i) => {
      loaded.push(i);
      return { i };
    },
    bytesOf: () => 10,
    budgetBytes: 25,
  });
  for (const i of [0, 1, 0, 2, 0, 1]) assert.is((await get(i)).i, i);
  // 2 pushes 1 out, which was used before 0; then 1 comes again.
  assert.equal(loaded, [0, 1, 2, 1]);
});

test('asked twice at once, it loads once; a failure is not remembered', async () => {
  let calls = 0;
  const get = boundedCache({
    load: async (i) => {
      if (++calls === 2) throw new Error('broken');
      return i;
    },
    bytesOf: () => 1,
    budgetBytes: 0,
  });
  const [a, b] = await Promise.all([get(5), get(5)]);
  assert.equal([a, b, calls], [5, 5, 1]);
  await throws(() => get(6), /broken/);
  assert.is(await get(6), 6);
});

test.run();
