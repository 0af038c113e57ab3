import { deflateRawSync } from 'node:zlib';
import fc from 'fast-check';
import { bytesSource, crc32, openZip, writeZip } from '../../src/io/index.js';
import { assert, suite, throws } from '../harness.js';

const test = suite('io/zip');
fc.configureGlobal({ seed: 20240507 });
const text = (value: string) => new TextEncoder().encode(value);

interface Member {
  name: string;
  method: number;
  packed: Uint8Array;
  size: number;
  crc: number;
  flags?: number;
  /** Places the local header by hand. */
  offset?: number;
  /** Writes sizes and offset into a zip64 extra field. */
  zip64?: boolean;
}

/** An archive put together field by field, so that it can lie. */
function forge(members: Member[], { count = members.length, zip64 = false } = {}): Uint8Array {
  const pieces: number[] = [];
  const directory: number[] = [];
  const u16 = (value: number) => [value & 255, (value >>> 8) & 255];
  const u32 = (value: number) => [...u16(value & 0xffff), ...u16(value >>> 16)];
  const u64 = (value: number) => [...u32((value % 2 ** 32) >>> 0), ...u32(Math.floor(value / 2 ** 32))];
  for (const member of members) {
    const offset = member.offset ?? pieces.length;
    const name = [...text(member.name)];
    const large = 0xffffffff;
    const [packedSize, size] = member.zip64 ? [large, large] : [member.packed.length, member.size];
    const common = [...u16(20), ...u16(member.flags ?? 0), ...u16(member.method), ...u32(0), ...u32(member.crc)];
    const sizes = [...u32(packedSize), ...u32(size), ...u16(name.length)];
    const extra = member.zip64
      ? [...u16(1), ...u16(24), ...u64(member.size), ...u64(member.packed.length), ...u64(offset)]
      : [];
    if (member.offset === undefined) {
      pieces.push(...u32(0x04034b50), ...common, ...sizes, ...u16(0), ...name, ...member.packed);
    }
    directory.push(...u32(0x02014b50), ...u16(45), ...common, ...sizes, ...u16(extra.length), ...u16(0), ...u16(0));
    directory.push(...u16(0), ...u32(0), ...u32(member.zip64 ? large : offset), ...name, ...extra);
  }
  const start = pieces.length;
  const end64 = zip64
    ? [
        ...[...u32(0x06064b50), ...u64(44), ...u16(45), ...u16(45), ...u32(0), ...u32(0), ...u64(count), ...u64(count)],
        ...[...u64(directory.length), ...u64(start)],
        ...[...u32(0x07064b50), ...u32(0), ...u64(start + directory.length), ...u32(1)],
      ]
    : [];
  const [n, length, at] = zip64 ? [0xffff, 0xffffffff, 0xffffffff] : [count, directory.length, start];
  const end = [...u32(0x06054b50), ...u16(0), ...u16(0), ...u16(n), ...u16(n), ...u32(length), ...u32(at), ...u16(0)];
  return new Uint8Array([...pieces, ...directory, ...end64, ...end]);
}

function stored(name: string, content: Uint8Array): Member {
  return { name, method: 0, packed: content, size: content.length, crc: crc32(content) };
}

const open = (bytes: Uint8Array, limits = {}) => openZip(bytesSource(bytes, 'a.zip'), limits);

test('CRC-32 has the published check value, whole or in pieces', () => {
  const digits = text('123456789');
  assert.is(crc32(digits), 0xcbf43926);
  for (let cut = 0; cut <= 9; cut++) assert.is(crc32(digits.subarray(cut), crc32(digits.subarray(0, cut))), 0xcbf43926);
});

test('entries come back as they went in, deflated or stored', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.stringMatching(/^[a-zé/._-]{1,20}$/), fc.uint8Array({ maxLength: 400 }), { maxKeys: 6 }),
      fc.boolean(),
      async (entries, compress) => {
        const archive = await open(await writeZip(Object.entries(entries), compress));
        assert.equal(archive.entries.map((entry) => entry.name).sort(), Object.keys(entries).sort());
        for (const [name, content] of Object.entries(entries)) assert.equal(await archive.read(name), content);
      },
    ),
    { numRuns: 60 },
  );
});

test('reads zip64 sizes, offsets and counts', async () => {
  const content = text('memory '.repeat(30));
  const packed = new Uint8Array(deflateRawSync(content));
  const members = [
    { name: 'a', method: 8, packed, size: content.length, crc: crc32(content), zip64: true },
    { ...stored('b', content), zip64: true },
  ];
  for (const zip64 of [false, true]) {
    const archive = await open(forge(members, { zip64 }));
    assert.equal(await archive.read('a'), content);
    assert.equal(await archive.read('b'), content);
  }
});

test('reads past a comment at the end', async () => {
  const whole = forge([stored('a', text('x'))]);
  const comment = text('a comment with PK\x05\x06 in it');
  const bytes = new Uint8Array([...whole, ...comment]);
  bytes[whole.length - 2] = comment.length;
  assert.equal(await (await open(bytes)).read('a'), text('x'));
});

test('a bomb is stopped at its declared size, and an impossible size before it starts', async () => {
  const zeros = new Uint8Array(20_000_000);
  const packed = new Uint8Array(deflateRawSync(zeros));
  const bomb = (size: number): Member => ({ name: 'bomb', method: 8, packed, size, crc: 0 });
  await throws(
    async () => (await open(forge([bomb(1000)]))).read('bomb'),
    /a\.zip: bomb: expected .* 1000 bytes, got more/,
  );
  await throws(
    async () => (await open(forge([bomb(3e9)]))).read('bomb'),
    /a\.zip: expected at most 1073741824 bytes in bomb/,
  );
  const impossible = async () => (await open(forge([{ ...bomb(5e8) }]), {})).read('bomb');
  await throws(impossible, /a\.zip: bomb: expected at most \d+ bytes from \d+ compressed, got 500000000/);
  const limited = async () => (await open(forge([bomb(zeros.length)]), { maximumEntryBytes: 1e6 })).read('bomb');
  await throws(limited, /a\.zip: expected at most 1000000 bytes in bomb, got 20000000/);
});

test('refuses entries that overlap, leave the file, repeat or lie', async () => {
  const one = stored('one', text('hello'));
  await throws(() => open(forge([one, { ...one, name: 'two', offset: 0 }])), /a\.zip: .*overlapping/);
  await throws(
    () => open(forge([one, { ...one, name: 'two', offset: 1e6 }])),
    /a\.zip: expected two before the directory/,
  );
  await throws(() => open(forge([one, one])), /a\.zip: .*one twice/);
  await throws(() => open(forge([one], { count: 60000 })), /a\.zip: expected at most 1 entries, got 60000/);
  await throws(() => open(forge([{ ...one, size: 4 }])), /a\.zip: expected 5 bytes in one, got 4/);
  await throws(async () => (await open(forge([{ ...one, crc: 1 }]))).read('one'), /a\.zip: expected checksum 1 of one/);
  await throws(async () => (await open(forge([{ ...one, flags: 1 }]))).read('one'), /a\.zip: .*encrypted/);
  await throws(
    async () => (await open(forge([{ ...one, method: 12 }]))).read('one'),
    /a\.zip: .*compression method 12/,
  );
  await throws(async () => (await open(forge([one]))).read('two'), /a\.zip: expected an entry two, got one/);
});

test.run();
