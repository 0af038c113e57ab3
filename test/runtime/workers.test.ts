import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { atomic, i32, ModuleBuilder } from '../../src/runtime/wasm/index.js';
import { createPool, type WorkerPool } from '../../src/runtime/workers.js';
import { assert, suite, throws } from '../harness.js';

const test = suite('runtime/workers');

/** Phase `square` writes k² to cell k; phase `sum` adds up the 64 cells; phase `count` counts calls; `trap` traps in task 5. */
function makeModule(): WebAssembly.Module {
  const m = new ModuleBuilder({ relaxed: false, shared: true });
  m.function('square', ['i32'], (f, task) => f.store(i32.shl(task, 2), i32.mul(task, task)));
  m.function('sum', ['i32'], (f) => {
    const total = f.let(i32.const(0));
    f.forRange(0, 64, 1, (k) => f.add(total, i32.load(i32.shl(k, 2))));
    f.store(0, total, 1024);
  });
  m.function('count', ['i32'], (f) => f.drop(atomic.add(2048, 1)));
  m.function('trap', ['i32'], (f, task) => f.if(i32.eq(task, 5), () => f.store(i32.const(-16), i32.const(1))));
  return new WebAssembly.Module(m.bytes());
}
const module = makeModule();
const newMemory = () => new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true });

for (const [name, options] of [
  ['one thread', { threads: 1 }],
  ['two threads', { threads: 2 }],
  ['five threads', { threads: 5 }],
  ['the caller only waits', { threads: 2, callerComputes: false }],
  ['one worker, the caller only waits', { threads: 1, callerComputes: false }],
] as const) {
  const withPool = async (body: (pool: WorkerPool) => Promise<void>) => {
    const pool = await createPool(options);
    await body(pool);
    await pool.dispose();
  };

  test(`${name}: phases follow one another, each task runs once`, () =>
    withPool(async (pool) => {
      assert.is(pool.threads, options.threads);
      const memory = newMemory();
      const cells = new Int32Array(memory.buffer);
      const phases = [
        { run: 'square', tasks: 64 },
        { run: 'sum', tasks: 1 },
        { run: 'count', tasks: 37 },
      ];
      const program = await pool.load(module, memory, phases);
      for (let k = 1; k <= 200; k++) {
        cells.fill(0, 0, 257);
        await program.run();
        assert.is(cells[256], 85344);
        assert.is(cells[512], 37 * k);
      }
      program.dispose();
      await throws(() => program.run(), /disposed/);
    }));

  test(`${name}: a trap surfaces, and the pool goes on`, () =>
    withPool(async (pool) => {
      const bad = await pool.load(module, newMemory(), [
        { run: 'trap', tasks: 8 },
        { run: 'count', tasks: 8 },
      ]);
      const memory = newMemory();
      const good = await pool.load(module, memory, [{ run: 'count', tasks: 8 }]);
      await throws(() => bad.run(), /a kernel stopped: RuntimeError/);
      await good.run();
      await throws(() => bad.run(), /a kernel stopped: RuntimeError/);
      await good.run();
      assert.is(new Int32Array(memory.buffer)[512], 16);
    }));

  test(`${name}: a program that can't be loaded says so`, () =>
    withPool(async (pool) => {
      await throws(() => pool.load(module, newMemory(), [{ run: 'nothing', tasks: 1 }]), /no function nothing/);
      await throws(() => pool.load(module, newMemory(), [{ run: 'count', tasks: 5000 }]), /tasks of count/);
    }));

  test(`${name}: loading while another program runs`, () =>
    withPool(async (pool) => {
      const memory = newMemory();
      const first = await pool.load(module, memory, [{ run: 'count', tasks: 10 }]);
      const loading = pool.load(module, memory, [{ run: 'count', tasks: 1 }]);
      await first.run();
      await first.run();
      const second = await loading;
      await Promise.all([second.run(), first.run(), second.run()]);
      assert.is(new Int32Array(memory.buffer)[512], 32);
    }));

  test(`${name}: a disposed pool refuses`, async () => {
    const pool = await createPool(options);
    const program = await pool.load(module, newMemory(), [{ run: 'count', tasks: 1 }]);
    await pool.dispose();
    await throws(() => program.run(), /pool was disposed/);
    await throws(() => pool.load(module, newMemory(), []), /pool was disposed/);
  });
}

test('runSync is refused where the caller may not block', async () => {
  const pool = await createPool({ threads: 2, callerComputes: false });
  assert.is(pool.synchronous, false);
  const program = await pool.load(module, newMemory(), [{ run: 'count', tasks: 1 }]);
  await throws(() => program.runSync(), /use run\(\)/);
  await pool.dispose();
});

test('workers do not keep the process alive', () => {
  const path = join(dirname(fileURLToPath(import.meta.url)), '..', '..', 'src', 'runtime', 'workers.js');
  const script = `import(${JSON.stringify(path)}).then(async ({ createPool }) => { await createPool({ threads: 3 }); console.log('made'); })`;
  const result = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 20000 });
  assert.is(result.stdout.trim(), 'made', result.stderr);
  assert.is(result.status, 0);
});

test('nonsense is refused', async () => {
  await throws(() => createPool({ threads: 0 }), /`threads`/);
  await throws(() => createPool({ threads: 1.5 }), /`threads`/);
});

test.run();
