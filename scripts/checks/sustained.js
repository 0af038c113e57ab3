// Does an hour of training hold its speed and its memory? Starts `dendra train` with the flags given, samples the process once a
// minute - steps done, processor time, resident memory - and compares the last sixth of the time with the first.
//
//   node scripts/checks/sustained.js [--minutes 60] [--json FILE] -- neuronio --data TRAIN --valid VALID --steps 2000000 --out runs/hour
//
// Processor time, not wall time, is what a step is charged, so that other work on the machine counts less. Linux only (/proc).
// The first minute, in which kernels are compiled and data is read, is left out. Ends with status 1 where a step has become more
// than a tenth dearer or the memory more than a tenth larger. The training is interrupted at the end, and can be resumed.
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const cut = process.argv.indexOf('--');
if (cut < 0) throw new Error('sustained: give the flags of dendra train after --');
const { values } = parseArgs({
  args: process.argv.slice(2, cut),
  options: { minutes: { type: 'string', default: '60' }, json: { type: 'string' } },
});
const minutes = Number(values.minutes);
if (!(minutes >= 6)) throw new Error(`sustained: --minutes: expected 6 or more, got ${values.minutes}`);

const binary = fileURLToPath(new URL('../../bin/dendra.js', import.meta.url));
const child = spawn(process.execPath, [binary, 'train', ...process.argv.slice(cut + 1)], {
  stdio: ['ignore', 'ignore', 'pipe'],
});
let step = 0;
child.stderr.setEncoding('utf8').on('data', (text) => {
  for (const [, done] of text.matchAll(/(\d[\d,]*)\/\d/g)) step = Math.max(step, Number(done.replaceAll(',', '')));
});
const clockTicksPerSecond = 100;

function sample() {
  // After the name, which may hold spaces and stands in parentheses: field 14 of proc(5) is user time, 15 system time.
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
  const [, kib] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'));
  return { step, cpuSeconds: (Number(fields[11]) + Number(fields[12])) / clockTicksPerSecond, mib: kib / 1024 };
}

const median = (list) => list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)];
const rows = [];
let before;
await new Promise((resolve, reject) => {
  const timer = setInterval(() => {
    const now = sample();
    if (before && now.step > before.step) {
      const cpuMs = (1000 * (now.cpuSeconds - before.cpuSeconds)) / (now.step - before.step);
      rows.push({ minute: rows.length + 1, step: now.step, cpuMs, mib: now.mib });
      console.log(
        `${rows.length} min  step ${now.step}  ${cpuMs.toFixed(3)} ms of CPU a step  ${now.mib.toFixed(0)} MiB`,
      );
    }
    before = now;
    if (rows.length < minutes) return;
    clearInterval(timer);
    child.kill('SIGINT');
  }, 60_000);
  child.on('exit', (code) => {
    clearInterval(timer);
    if (rows.length < minutes)
      reject(new Error(`sustained: the training ended with ${code} after ${rows.length} minutes`));
    else resolve();
  });
});
const share = Math.max(1, Math.floor(rows.length / 6));
const of = (part) => ({ cpuMs: median(part.map((r) => r.cpuMs)), mib: median(part.map((r) => r.mib)) });
const first = of(rows.slice(0, share));
const last = of(rows.slice(-share));
const held = { speed: last.cpuMs / first.cpuMs, memory: last.mib / first.mib };
if (values.json)
  writeFileSync(values.json, `${JSON.stringify({ node: process.version, first, last, held, rows }, null, 1)}\n`);
console.log(
  `first ${share} min: ${first.cpuMs.toFixed(3)} ms, ${first.mib.toFixed(0)} MiB; last ${share} min: ${last.cpuMs.toFixed(3)} ms, ` +
    `${last.mib.toFixed(0)} MiB; ratio ${held.speed.toFixed(3)} in CPU time, ${held.memory.toFixed(3)} in memory`,
);
process.exitCode = held.speed > 1.1 || held.memory > 1.1 ? 1 : 0;
