import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Stream } from '../../src/base/random.js';
import { diskFolder, RunRecord } from '../../src/train/index.js';
import { assert, suite, temporaryFolder } from '../harness.js';

const test = suite('train/killed');
const program = join(dirname(fileURLToPath(import.meta.url)), 'killed.js');

/** Fits in a folder; killed after so many milliseconds unless it ends before. */
function life(folder: string, killAfterMs?: number): Promise<{ killed: boolean; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (part) => {
      output += part;
    });
    const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (signal !== 'SIGKILL' && code !== 0) reject(new Error(`the run failed with code ${code}`));
      else resolve({ killed: signal === 'SIGKILL', output });
    });
  });
}

const weightsOf = (folder: string) => readFileSync(join(folder, 'model', 'weights.safetensors'));

test('runs killed at 20 random moments resume each time and end with the bits of one that was not', async () => {
  const whole = join(temporaryFolder(), 'whole');
  const started = performance.now();
  const expected = (await life(whole)).output;
  const wholeMs = performance.now() - started;
  assert.ok(expected.includes('somaRmseMv'));
  const moments = new Stream(11, 'test.kill');
  let kills = 0;
  let inTraining = 0;
  while (kills < 20) {
    const folder = join(temporaryFolder(), 'run');
    for (;;) {
      const { killed, output } = await life(folder, kills < 20 ? wholeMs * moments.uniform(0.1, 0.7) : undefined);
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
