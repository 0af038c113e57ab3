import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Stream } from '../../src/base/random.js';
import { diskFolder, RunRecord } from '../../src/train/index.js';
import { assert, suite, temporaryFolder } from '../harness.js';

const test = suite('train/killed');
const program = join(dirname(fileURLToPath(import.meta.url)), 'killed.js');

/** Lines in a run's record: it grows with every step. */
function recorded(folder: string): number {
  const file = join(folder, 'events.jsonl');
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0;
}

/** When to kill: so many records after the life began, and so many milliseconds later. */
interface Kill {
  readonly records: number;
  readonly laterMs: number;
}

/** Fits in a folder; killed at a moment of its own progress, however fast the machine is, unless it ends before. */
function life(folder: string, kill?: Kill): Promise<{ killed: boolean; output: string }> {
  return new Promise((resolve, reject) => {
    const before = recorded(folder);
    const child = spawn(process.execPath, [program, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (part) => {
      output += part;
    });
    const watch = setInterval(() => {
      if (!kill || recorded(folder) - before < kill.records) return;
      clearInterval(watch);
      setTimeout(() => child.kill('SIGKILL'), kill.laterMs);
    }, 2);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearInterval(watch);
      if (signal !== 'SIGKILL' && code !== 0) reject(new Error(`the run failed with code ${code}`));
      else resolve({ killed: signal === 'SIGKILL', output });
    });
  });
}

const weightsOf = (folder: string) => readFileSync(join(folder, 'model', 'weights.safetensors'));

test('runs killed at 20 random moments resume each time and end with the bits of one that was not', async () => {
  const whole = join(temporaryFolder(), 'whole');
  const expected = (await life(whole)).output;
  const records = recorded(whole);
  assert.ok(expected.includes('somaRmseMv'));
  const moments = new Stream(11, 'test.kill');
  let kills = 0;
  let inTraining = 0;
  while (kills < 20) {
    const folder = join(temporaryFolder(), 'run');
    for (;;) {
      const kill = { records: moments.integer(Math.ceil(0.6 * records)), laterMs: moments.uniform(0, 20) };
      const { killed, output } = await life(folder, kills < 20 ? kill : undefined);
      if (!killed) {
        assert.is(output, expected);
        break;
      }
      kills++;
      if (existsSync(join(folder, 'events.jsonl'))) inTraining++;
    }
    assert.ok(weightsOf(folder).equals(weightsOf(whole)), 'the same weights, to the bit');
    const left = readdirSync(folder, { recursive: true }).filter((name) => `${name}`.endsWith('.partial'));
    assert.equal(left, []);
    const history = await (await RunRecord.open(await diskFolder(folder))).history();
    const validated = history.filter(({ type }) => type === 'valid').map(({ step }) => step);
    assert.equal(validated, [40, 80, 120]);
  }
  assert.ok(inTraining >= 5, `only ${inTraining} kills came after training had begun`);
});

test.run();
