/** The contract of the binary: what it prints where, as text and as JSON, and how it exits. */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commands } from '../../src/cli/commands/index.js';
import { commandHelp, tableHelp } from '../../src/cli/help.js';
import { assert, suite, temporaryFolder } from '../harness.js';
import { dendra, jsonOf, mini } from './dendra.js';

const test = suite('cli/main');
const folder = temporaryFolder();
const { version } = JSON.parse(readFileSync('package.json', 'utf8'));

test('help and version, from everywhere', async () => {
  const table = `${tableHelp(commands)}\n`;
  for (const args of [[], ['--help'], ['-h'], ['help']]) {
    assert.equal(await dendra(args), { code: 0, stdout: table, stderr: '' }, args.join(' '));
  }
  const evaluation = commands.find(({ name }) => name === 'eval')!;
  for (const args of [
    ['eval', '--help'],
    ['help', 'eval'],
    ['eval', 'x', '--no-such-flag', '-h'],
  ]) {
    assert.is((await dendra(args)).stdout, `${commandHelp(evaluation)}\n`, args.join(' '));
  }
  assert.match((await dendra(['train', '--help'])).stdout, /\n {2}train neuronio {2}/);
  assert.is((await dendra(['--version'])).stdout, `${version}\n`);
  assert.equal(jsonOf(await dendra(['--version', '--json'])), { version });
  assert.equal(jsonOf(await dendra(['--json'])), { help: tableHelp(commands) });
});

const errors: [string, string[], string, number, RegExp][] = [
  ['an unknown command', ['evla'], 'usage', 2, /^dendra: unknown command evla; did you mean eval\?$/],
  ['an unknown flag', ['eval', 'm', '--dta', 'x'], 'usage', 2, /unknown flag --dta; did you mean --data\?$/],
  ['an impossible value', ['eval', 'm', '--batch', '0'], 'input', 2, /^--batch: .* got 0; the nearest is 1$/],
  [
    'no model there',
    ['eval', join(folder, 'none'), '--data', mini('valid')],
    'input',
    2,
    /none: expected a model, got nothing/,
  ],
  [
    'a folder without a model',
    ['eval', folder, '--data', mini('valid')],
    'input',
    2,
    /^loadModel: expected a folder with model\.json/,
  ],
  ['no data', ['train', 'neuronio'], 'input', 2, /^--data: expected files or folders of simulations, got none/],
  [
    'no data there',
    ['train', 'neuronio', '--data', join(folder, 'none'), '--out', join(folder, 'a')],
    'input',
    2,
    /none, got nothing at that path/,
  ],
  [
    'nothing to resume',
    ['train', 'neuronio', '--resume', join(folder, 'none')],
    'input',
    2,
    /expected the folder of a run, got no such file/,
  ],
  [
    'a burn-in beyond the window',
    ['train', 'neuronio', '--data', 'x', '--burn-in', '0.5 s'],
    'input',
    2,
    /^--burn-in: expected less than the window of 500 ms, got 500 ms; the nearest is '499 ms'$/,
  ],
  [
    'too few synapses',
    ['train', 'neuronio', '--data', mini('train'), '--branches', '10', '--out', join(folder, 'b')],
    'input',
    2,
    /^--synapses-per-branch: expected at least 128, so that 10 branches reach every input, got 100 \(by default\)$/,
  ],
  [
    'a window longer than the recordings',
    ['train', 'neuronio', '--data', mini('train'), '--window', '6 s', '--out', join(folder, 'w')],
    'input',
    2,
    /^--window: expected at most 5499, for there are 6000 ms in .*, of which the first 500 ms are left out, got 6000$/,
  ],
  [
    'timescales from long to short',
    ['train', 'neuronio', '--data', mini('train'), '--tau-max', '0.5 ms', '--out', join(folder, 't')],
    'input',
    2,
    /^--tau-max: expected a number of at least 1, got 0\.5$/,
  ],
];
for (const [what, args, code, exit, message] of errors) {
  test(`${what}: exit ${exit}, as text and as JSON`, async () => {
    const [plain, json] = await Promise.all([dendra(args), dendra([...args, '--json'])]);
    assert.is(plain.code, exit, plain.stderr);
    assert.is(plain.stdout, '');
    assert.not.match(plain.stderr, /\n\s+at /);
    assert.is(json.code, exit);
    const { error } = jsonOf(json);
    assert.is(error.code, code);
    assert.match(error.message, message);
    assert.ok(plain.stderr.includes(error.message), plain.stderr);
  });
}

test('what fails is exit 1, with a stack only for those who debug', async () => {
  const out = join(folder, 'file');
  writeFileSync(out, 'not a folder');
  const args = ['train', 'neuronio', '--data', mini('train'), '--out', join(out, 'run')];
  const plain = await dendra(args);
  assert.is(plain.code, 2, plain.stderr);
  assert.is(readFileSync(out, 'utf8'), 'not a folder');
  const debugged = await dendra(args, { env: { DENDRA_DEBUG: '1' } });
  assert.match(debugged.stderr, /\n\s+at /);
});

test('a reader that goes away is no error, a full disk is', async () => {
  const code = await new Promise((resolve) => {
    const child = spawn('sh', ['-c', `"$0" bin/dendra.js --help | true; echo`, process.execPath], { stdio: 'ignore' });
    child.on('close', resolve);
  });
  assert.is(code, 0);
  if (!existsSync('/dev/full')) return;
  const full = await new Promise<{ code: number | null; stderr: string }>((resolve) => {
    const child = spawn('sh', ['-c', `"$0" bin/dendra.js --help > /dev/full`, process.execPath]);
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    child.on('close', (status) => resolve({ code: status, stderr }));
  });
  assert.is(full.code, 1);
  assert.match(full.stderr, /^dendra: expected to write to standard output, got .*ENOSPC/);
});

test('backends says what runs', async () => {
  const { backends, auto } = jsonOf(await dendra(['backends', '--json']));
  const reference = backends.find((one: { name: string }) => one.name === 'reference');
  assert.is(reference.available, true);
  assert.is(reference.threads, 1);
  assert.ok(backends.every((one: { available: boolean; reason?: string }) => one.available || one.reason));
  assert.ok(backends.some((one: { name: string; available: boolean }) => one.name === auto && one.available));
  const told = await dendra(['backends', '--memory', '100', '--batch', '256']);
  assert.match(told.stdout, /for 100 memory units and 256 windows a step, auto takes \w+: /);
});

test('nothing was left behind by what was refused', () => {
  assert.equal(readdirSync(folder).sort(), ['file']);
});

test.run();
