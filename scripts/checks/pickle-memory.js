// Checks that a published-size NeuronIO pickle is read in bounded memory: writes one with dendritic voltages (10 MB per
// simulation, 128 make the 1.3 GB of a published file), opens it, and compares what the process took with the file.
//
//   node scripts/build.js --no-types
//   node scripts/checks/pickle-memory.js [simulations, default 32]
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openNeuronIO } from '../../dist/node/data/index.js';

const count = Number(process.argv[2] ?? 32);
const limitMb = 350;
const text = (value) => Buffer.from(value, 'latin1');
const short = (value) => Buffer.concat([Buffer.from([0x55, value.length]), text(value)]);
const u32 = (value) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};
const byte = (...values) => Buffer.from(values);

// Memo entries 0 … 4: _reconstruct, ndarray, scalar, dtype('f2'), dtype('i8'); every spike time after them takes one more.
let memo = 5;
const dtype = (kind, id) =>
  Buffer.concat([
    ...[text('cnumpy\ndtype\n'), short(kind), byte(0x4b, 0, 0x4b, 1, 0x87, 0x52, 0x71, id)],
    ...[
      byte(0x28, 0x4b, 3),
      short('<'),
      byte(0x4e, 0x4e, 0x4e),
      byte(0x4a, 255, 255, 255, 255, 0x4a, 255, 255, 255, 255),
    ],
    byte(0x4b, 0, 0x74, 0x62, 0x30),
  ]);
const prologue = Buffer.concat([
  ...[text('cnumpy.core.multiarray\n_reconstruct\n'), byte(0x71, 0, 0x30)],
  ...[text('cnumpy\nndarray\n'), byte(0x71, 1, 0x30)],
  ...[text('cnumpy.core.multiarray\nscalar\n'), byte(0x71, 2, 0x30)],
  ...[dtype('f2', 3), dtype('i8', 4)],
]);
function array(shape, bytes) {
  const extents = shape.map((extent) => Buffer.concat([byte(0x4a), u32(extent)]));
  return Buffer.concat([
    ...[byte(0x68, 0, 0x68, 1, 0x4b, 0, 0x85), short('b'), byte(0x87, 0x52, 0x28, 0x4b, 1)],
    ...[...extents, byte(shape.length === 1 ? 0x85 : 0x86), byte(0x68, 3, 0x89, 0x54), u32(bytes.length), bytes],
    byte(0x74, 0x62),
  ]);
}
/** Lists of numpy.int64 for 639 segments, about 70 each, as Python 2 writes them. */
function spikes(seed) {
  const parts = [byte(0x7d, 0x28)];
  for (let segment = 0; segment < 639; segment++) {
    parts.push(Buffer.concat([byte(0x4a), u32(segment), byte(0x5d, 0x28)]));
    for (let time = (segment * 7 + seed) % 80; time < 6000; time += 85) {
      const value = Buffer.alloc(8);
      value.writeUInt32LE(time);
      parts.push(byte(0x68, 2, 0x68, 4, 0x55, 8), value, byte(0x86, 0x52, 0x72), u32(memo++));
    }
    parts.push(byte(0x65));
  }
  parts.push(byte(0x75));
  return Buffer.concat(parts);
}

const folder = mkdtempSync(join(tmpdir(), 'dendra-check-'));
try {
  const path = join(folder, 'sim__large.p');
  const file = openSync(path, 'w');
  const dendrites = Buffer.alloc(639 * 6000 * 2, 0x54);
  const soma = Buffer.alloc(12000);
  for (let i = 0; i < 6000; i++) soma.writeUInt16LE(0xd44c, 2 * i); // −68.75 mV
  writeSync(file, Buffer.concat([byte(0x80, 2), prologue, byte(0x7d), short('Results'), byte(0x7d)]));
  writeSync(file, Buffer.concat([short('listOfSingleSimulationDicts'), byte(0x5d, 0x28)]));
  for (let i = 0; i < count; i++) {
    const fields = [
      ...[
        short('somaVoltageLowRes'),
        array([6000], soma),
        short('somaVoltageHighRes'),
        array([48000], Buffer.alloc(96000)),
      ],
      ...[short('exInputSpikeTimes'), spikes(i), short('inhInputSpikeTimes'), spikes(i + 40)],
      ...[short('dendriticVoltagesLowRes'), array([639, 6000], dendrites)],
      ...[short('outputSpikeTimes'), array([1], byte(0x64, 0x64))],
    ];
    writeSync(file, Buffer.concat([byte(0x7d, 0x28), ...fields, byte(0x75)]));
  }
  writeSync(file, byte(0x65, 0x73, 0x73, 0x2e));
  closeSync(file);
  const before = process.memoryUsage().rss;
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 20);
  const started = performance.now();
  const dataset = await openNeuronIO(path);
  const seconds = (performance.now() - started) / 1000;
  clearInterval(watch);
  const last = await dataset.load(count - 1);
  const mb = (bytes) => Math.round(bytes / 1e6);
  process.stdout.write(
    `${mb(statSync(path).size)} MB, ${dataset.count} simulations, ${last.inputs.channels.length} input spikes each: read in ` +
      `${seconds.toFixed(1)} s, memory ${mb(before)} MB before, ${mb(peak)} MB at most\n`,
  );
  if (dataset.count !== count || peak - before > limitMb * 1e6) {
    process.stdout.write(`expected ${count} simulations and at most ${limitMb} MB more memory\n`);
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
