import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Stream } from '../../src/base/random.js';
import { diskFolder, RunRecord } from '../../src/train/index.js';
import { assert, suite, temporaryFolder } from '../harness.js';

const test = suite('train/killed');
const program = join(dirname(fileURLToPath(import.meta.url)), 'killed.js');

/** Trains in a folder; killed after so many milliseconds unless it ends before. */
function life(folder: string, killAfterMs = Number.POSITIVE_INFINITY): Promise<{ killed: boolean; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (part) => (output += part));
    const timer = killAfterMs < 1e9 ? setTimeout(() => child.kill('SIGKILL'), killAfterMs) : undefined;
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (signal !== 'SIGKILL' && code !== 0) reject(new Error(`the run failed with code ${code}`));
      else resolve({ killed: signal === 'SIGKILL', output });
    });
  });
}

test('runs killed at 20 random moments resume each time and end with the bits of one that was not', async () => {
  const started = performance.now();
  const expected = (await life(join(temporaryFolder(), 'whole'))).output;
  const wholeMs = performance.now() - started;
  assert.ok(expected.includes('selectedStep'));
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
    const history = await (await RunRecord.open(await diskFolder(folder))).history();
    assert.equal(
      history.filter(({ type }) => type === 'valid').map(({ step }) => step),
      [50, 100, 150, 200, 250, 300, 350, 400],
    );
  }
  assert.ok(inTraining >= 5, `only ${inTraining} kills came after training had begun`);
});

test.run();
