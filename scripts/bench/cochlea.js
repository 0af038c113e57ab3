// Times sound to spikes: dendra's cochlea, as the original and with its default settings, and LAUSCHER, the program that made
// the Spiking Heidelberg Digits, on the same sound and one core each. Seconds of processor time per second of sound.
//
//   node scripts/build.js --no-types
//   node scripts/bench/cochlea.js [--wav FILE] [--seconds 0.2] [--channels 70] [--rounds 3] [--python python3] [--no-peer] [--json]
//
// Without --wav a vowel-like sound at 48 kHz is made. LAUSCHER (pip install lauscher) runs once, and takes about ten minutes per
// second of sound with its 700 channels. What is made once per rate (transfer functions) is timed on its own.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createCochlea } from '../../dist/node/cochlea/index.js';
import { encodeWav, readWav } from '../../dist/node/io/index.js';
import { withFile } from '../../dist/node/runtime/index.js';

const { values } = parseArgs({
  options: {
    wav: { type: 'string' },
    seconds: { type: 'string', default: '0.2' },
    channels: { type: 'string', default: '70' },
    rounds: { type: 'string', default: '3' },
    python: { type: 'string', default: 'python3' },
    'no-peer': { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const channels = Number(values.channels);
const rounds = Number(values.rounds);

/** A voice at 120 Hz with formants at 700, 1200 and 2600 Hz, swelling and fading. */
function vowel(seconds, rateHz) {
  return Float64Array.from({ length: Math.round(seconds * rateHz) }, (_, n) => {
    const time = n / rateHz;
    let value = 0;
    for (let hertz = 120; hertz < 8000; hertz += 120) {
      const gain = [700, 1200, 2600].reduce((sum, formant) => sum + 1 / (1 + ((hertz - formant) / 150) ** 2), 0.01);
      value += gain * Math.sin(2 * Math.PI * hertz * time + hertz);
    }
    return 0.05 * value * Math.sin((Math.PI * time) / seconds) ** 2;
  });
}

function processorSeconds(work) {
  const start = process.cpuUsage();
  const result = work();
  const { user, system } = process.cpuUsage(start);
  return [(user + system) / 1e6, result];
}

const folder = mkdtempSync(join(tmpdir(), 'dendra-bench-'));
try {
  let path = values.wav;
  if (!path) {
    path = join(folder, 'vowel.wav');
    writeFileSync(
      path,
      encodeWav({ rateHz: 48000, format: 'int16', channels: [vowel(Number(values.seconds), 48000)] }),
    );
  }
  const wav = await withFile(path, readWav);
  const [sound] = wav.channels;
  const seconds = sound.length / wav.rateHz;
  const rows = [];
  for (const [name, options] of [
    ['dendra, as the original', { preset: 'original' }],
    ['dendra, default', { aboveNyquist: 'rest' }],
  ]) {
    const ear = createCochlea({ channels, ...options });
    const [first, { spikeSteps }] = processorSeconds(() => ear.hear(sound, wav.rateHz));
    const times = Array.from({ length: rounds }, () => processorSeconds(() => ear.hear(sound, wav.rateHz))[0]);
    const best = Math.min(...times);
    rows.push({ name, perSecond: best / seconds, once: Math.max(0, first - best), spikes: spikeSteps.length });
  }
  if (!values['no-peer']) {
    const script = join(dirname(fileURLToPath(import.meta.url)), 'peers', 'cochlea_lauscher.py');
    try {
      const { cpu, spikes } = JSON.parse(
        execFileSync(values.python, [script, path, String(channels)], {
          encoding: 'utf8',
          stdio: ['ignore', 'pipe', 'pipe'],
        }),
      );
      rows.push({ name: 'LAUSCHER', perSecond: cpu / seconds, once: 0, spikes });
    } catch (error) {
      process.stderr.write(
        `LAUSCHER did not run (pip install lauscher): ${String(error.stderr ?? error)
          .trim()
          .split('\n')
          .at(-1)}\n`,
      );
    }
  }
  if (values.json) process.stdout.write(`${JSON.stringify({ seconds, channels, rows })}\n`);
  else {
    process.stdout.write(`${seconds.toFixed(3)} s of sound at ${wav.rateHz} Hz, ${channels} channels\n`);
    for (const { name, perSecond, once, spikes } of rows) {
      process.stdout.write(
        `${name.padEnd(24)} ${perSecond.toFixed(2).padStart(8)} s per second of sound (once ${once.toFixed(2)} s), ${spikes} spikes\n`,
      );
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
