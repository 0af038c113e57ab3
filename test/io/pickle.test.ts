import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import {
  type ByteSource,
  bytesSource,
  LazyBytes,
  type PickledArray,
  readNumpyPickle,
  readPickle,
} from '../../src/io/index.js';
import { assert, suite, throws } from '../harness.js';
import './arrays.js';
import { refusesOtherKinds, refusesTruncation, survivesFlips } from './damage.js';
import { call, global, pickle, Raw, Tuple, u32 } from './pickler.js';

const test = suite('io/pickle');

const fixtures: Uint8Array[] = JSON.parse(readFileSync('test/fixtures/io/pickles.json', 'utf8')).map(
  (text: string) => new Uint8Array(Buffer.from(text, 'base64')),
);
const nothing = { globals: new Map() };
const read = (bytes: Uint8Array, options = {}) => readPickle(bytesSource(bytes, 'p.pkl'), { ...nothing, ...options });
const readNumpy = (source: ByteSource) => readNumpyPickle(source);

test('reads what CPython writes, in every protocol', async () => {
  for (const [protocol, bytes] of fixtures.entries()) {
    const value = (await readNumpyPickle(bytesSource(bytes, 'p.pkl'))) as Map<unknown, unknown>;
    const where = (key: unknown) => `protocol ${protocol}: ${key}`;
    const plain: [unknown, unknown][] = [
      ['none', null],
      ['yes', true],
      ['no', false],
      ['floats', [0.5, -1e300, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
      ['text', 'na\u00efve \u4e2d \u{1F9E0} \\ \n "'],
      ['bytes', Uint8Array.from({ length: 256 }, (_, i) => i)],
      ['empty bytes', new Uint8Array(0)],
      ['tuple', [1, [2, 3], []]],
      ['one', [1]],
      ['nested', new Map([['a', new Map([['b', [new Map([['c', []]])]]])]])],
      [7, 'number key'],
      [
        'shared',
        [
          ['shared', 1],
          ['shared', 1],
        ],
      ],
      ['scalar', -5],
      ['flag', true],
    ];
    for (const [key, expected] of plain) assert.equal(value.get(key), expected, where(key));
    assert.equal(
      value.get('ints'),
      [
        0,
        1,
        255,
        256,
        65535,
        65536,
        -1,
        -129,
        2147483647,
        -2147483648,
        2147483648,
        -9007199254740991,
        2n ** 70n,
        -(2n ** 70n),
      ],
      where('ints'),
    );
    const [first, second] = value.get('shared') as unknown[];
    assert.is(first, second, where('identity of shared lists'));
    const arrays: [string, string, number[], number[]][] = [
      ['array', 'float32', [2, 3], [0, 1, 2, 3, 4, 5]],
      ['fortran', 'float32', [2, 3], [0, 1, 2, 3, 4, 5]],
      ['big', 'int16', [2], [-2, 300]],
      ['buffer', 'float32', [2], [7, 8]],
    ];
    for (const [key, dtype, shape, numbers] of arrays) {
      const array = await (value.get(key) as PickledArray).read();
      assert.equal([array.dtype, array.shape, [...array.data]], [dtype, shape, numbers], where(key));
    }
    if (protocol >= 4) {
      assert.equal(value.get('set'), new Set([1, 2]));
      assert.equal(value.get('frozen'), new Set([3]));
    }
    if (protocol >= 5) assert.equal(value.get('bytearray'), new TextEncoder().encode('xyz'));
  }
});

test('strings of Python 2 keep their bytes', async () => {
  const bytes = Array.from({ length: 256 }, (_, i) => i);
  const long = new Raw([0x54, ...u32(256), ...bytes]);
  const short = new Raw([0x55, 3, 0x00, 0x80, 0xff]);
  const [a, b] = (await read(pickle([long, short]))) as string[];
  assert.equal(
    [...a].map((character) => character.charCodeAt(0)),
    bytes,
  );
  assert.is(b, '\x00\x80\xff');
});

const values = fc.letrec((tie) => ({
  leaf: fc.oneof(
    fc.constant(null),
    fc.boolean(),
    fc.maxSafeInteger(),
    fc.integer(),
    fc.double({ noNaN: true }),
    fc.string({ unit: 'grapheme', maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
  ),
  node: fc.oneof(
    { depthSize: 'small' },
    tie('leaf'),
    fc.array(tie('node'), { maxLength: 5 }),
    fc.array(tie('node'), { maxLength: 5 }).map((items) => new Tuple(items)),
    fc
      .uniqueArray(fc.tuple(fc.string(), tie('node')), { selector: ([key]) => key, maxLength: 5 })
      .map((pairs) => new Map(pairs)),
  ),
})).node;

/** What a written value is when read: tuples are arrays. */
function asRead(value: unknown): unknown {
  if (value instanceof Tuple) return value.items.map(asRead);
  if (Array.isArray(value)) return value.map(asRead);
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, asRead(item)]));
  return value;
}

test('values come back as they went in, through windows of any size', async () => {
  await fc.assert(
    fc.asyncProperty(values, fc.constantFrom(2, 3, 4), async (value, protocol) => {
      const bytes = pickle(value, protocol);
      assert.equal(await read(bytes), asRead(value));
      assert.ok(Object.is(JSON.stringify(await read(bytes)), JSON.stringify(asRead(value))));
    }),
    { numRuns: 200 },
  );
});

test('long payloads stay in the file until asked for, and a file of many windows reads the same', async () => {
  const blob = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 7) & 255);
  const list = Array.from({ length: 400_000 }, (_, i) => i);
  const whole = pickle(
    new Map<string, unknown>([
      ['blob', blob.subarray(0, 5)],
      ['list', list],
      ['text', 'é'.repeat(5000)],
    ]),
  );
  // The pickler above would spread three million arguments; the long payload is put in by hand.
  const at = whole.length - 2;
  const long = new Uint8Array(whole.length + blob.length + 20);
  const insert = new Uint8Array([0x58, ...u32(4), ...new TextEncoder().encode('long'), 0x42, ...u32(blob.length)]);
  long.set(whole.subarray(0, at));
  long.set(insert, at);
  long.set(blob, at + insert.length);
  long.set(whole.subarray(at), at + insert.length + blob.length);
  let largest = 0;
  let total = 0;
  const source: ByteSource = {
    name: 'p.pkl',
    size: whole.length + insert.length + blob.length,
    async read(offset, length) {
      largest = Math.max(largest, length);
      total += length;
      return long.slice(offset, offset + length);
    },
  };
  const value = (await readPickle(source, nothing)) as Map<string, unknown>;
  assert.ok(largest <= 2 ** 20, `${largest} bytes at once`);
  assert.ok(total < 2 * (whole.length + 2 ** 20), `${total} bytes read for ${whole.length}`);
  assert.equal(value.get('list'), list);
  const lazy = value.get('long') as LazyBytes;
  assert.instance(lazy, LazyBytes);
  assert.equal(await lazy.read(), blob);
  assert.is(new TextDecoder().decode(await (value.get('text') as LazyBytes).read()), 'é'.repeat(5000));
});

test('a caller may condense what is complete', async () => {
  const items = Array.from(
    { length: 2500 },
    (_, i) =>
      new Map<string, unknown>([
        ['i', i],
        ['load', [i, i, i]],
      ]),
  );
  const seen: number[] = [];
  const result = (await read(pickle(new Map([['items', items]])), {
    async condense(value: unknown) {
      if (!(value instanceof Map) || !value.has('load')) return;
      seen.push(value.get('i') as number);
      await Promise.resolve();
      value.clear();
    },
  })) as Map<string, Map<string, unknown>[]>;
  assert.equal(
    seen,
    items.map((_, i) => i),
  );
  assert.is(result.get('items')?.length, 2500);
  assert.ok(result.get('items')?.every((item) => item.size === 0));
});

const hostile: [string, Uint8Array][] = [
  ['REDUCE', pickle(call('os', 'system', 'id'))],
  ['posix', pickle([1, new Map([['x', call('posix', 'system', 'id')]])])],
  ['builtins', pickle(call('__builtin__', 'eval', '1'), 2)],
  ['STACK_GLOBAL', pickle(new Raw([0x8c, 2, 0x6f, 0x73, 0x8c, 6, ...new TextEncoder().encode('system'), 0x93]), 4)],
  ['INST', new TextEncoder().encode("(S'id'\nios\nsystem\n.")],
  ['OBJ', pickle(new Raw([0x28, ...global('subprocess', 'Popen').bytes, 0x4b, 1, 0x6f]))],
  ['NEWOBJ', pickle(new Raw([...global('os', 'system').bytes, 0x29, 0x81]))],
  ['torch', pickle(call('torch.serialization', 'load', 'x'))],
  ['nested', pickle(new Raw([...call('numpy.core.multiarray', 'scalar', global('os', 'system'), 'x').bytes]))],
];

test('a global outside the list is refused by name, whatever instruction brings it', async () => {
  for (const [what, bytes] of hostile) {
    await throws(
      () => readNumpyPickle(bytesSource(bytes, 'evil.pkl')),
      /^readPickle: evil\.pkl: expected only .*, got the global "(os\.system|posix\.system|__builtin__\.eval|subprocess\.Popen|torch\.serialization\.load)"; it is not allowed, and nothing was run/,
      what,
    );
  }
  await throws(() => read(pickle(new Raw([0x82, 1]))), /instruction 0x82/);
  await throws(() => read(pickle(new Raw([0x4b, 1, 0x51]))), /p\.pkl: expected a pickle without persistent ids/);
});

test('what is allowed can not be misused', async () => {
  const misuse: [string, Raw, RegExp][] = [
    ['calling a value', new Raw([0x4b, 1, 0x29, 0x52]), /a call of a global/],
    ['calling a name', call('numpy', 'ndarray'), /numpy\.ndarray as a name only, got a call/],
    ['building a list', new Raw([0x5d, 0x4e, 0x62]), /BUILD of an object that has a state/],
    ['building a global', new Raw([...global('numpy', 'dtype').bytes, 0x7d, 0x62]), /BUILD of an object/],
    ['a bad dtype', call('numpy', 'dtype', 'O8', false, true), /expected a bool, whole or floating type/],
    ['a scalar without a dtype', call('numpy.core.multiarray', 'scalar', 1, 'x'), /expected a dtype/],
    ['appending to a number', new Raw([0x4b, 1, 0x4b, 1, 0x61]), /APPEND to a list/],
    ['an odd dict', new Raw([0x7d, 0x28, 0x4b, 1, 0x75]), /SETITEM on a dict/],
    ['popping nothing', new Raw([0x30]), /1 values on the stack/],
    ['reaching under a mark', new Raw([0x4b, 1, 0x28, 0x85]), /1 values on the stack/],
    ['a mark that is not there', new Raw([0x74]), /a mark/],
    ['a memo entry that is not there', new Raw([0x68, 9]), /a memo entry 9/],
    ['two values', new Raw([0x4b, 1, 0x4b, 1]), /one value at the end/],
    ['deep marks', new Raw(new Array(2000).fill(0x28)), /at most 1000 nested marks/],
  ];
  for (const [what, raw, message] of misuse) {
    await throws(() => readNumpyPickle(bytesSource(pickle(raw), 'p.pkl')), message, what);
  }
});

test('sizes that a file does not have are refused before anything is allocated', async () => {
  const huge = [0xff, 0xff, 0xff, 0x7f];
  await throws(
    () => read(pickle(new Raw([0x54, ...huge]))),
    /p\.pkl: expected at most \d+ bytes, got a payload of 2147483647/,
  );
  await throws(() => read(pickle(new Raw([0x8e, ...huge, ...huge]))), /a payload of 9\.2\d+e\+?18|a payload of 9\d+/);
  await throws(() => read(pickle(new Raw([0x4e, 0x72, 0xff, 0xff, 0xff, 0xff]))), /memo entries from 0 to/);
  const dtype = call('numpy', 'dtype', 'f4', false, true);
  const state = new Tuple([1, new Tuple([2 ** 40, 2 ** 40]), dtype, false, new Uint8Array(8)]);
  const array = new Raw([
    ...call('numpy.core.multiarray', '_reconstruct', 1).bytes,
    ...pickle(state).slice(2, -1),
    0x62,
  ]);
  await throws(
    () => readNumpyPickle(bytesSource(pickle(array), 'p.pkl')),
    /p\.pkl: expected at most 8 bytes of float32/,
  );
  await throws(() => read(pickle(Array.from({ length: 5000 }, () => 1)), { maximumItems: 4000 }), /at most 4000 items/);
});

test('cut, flipped and foreign pickles are refused by name', async () => {
  for (const [protocol, bytes] of fixtures.entries()) {
    await refusesTruncation(readNumpy, bytes, protocol === 2 ? bytes.length : 100);
    await survivesFlips(readNumpy, bytes, 300);
  }
  await refusesOtherKinds(readNumpy);
});

test.run();
