/** The house's floors: a file imports only from floors above its own, or from its own; side wings never from each other. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { assert, suite } from '../harness.js';

const test = suite('architecture/imports');

const floors = [
  'base',
  'memory',
  'io',
  'runtime',
  'ops',
  'graph',
  'backends',
  'elm',
  'lstm',
  'mamba',
  'biophysics',
  'cochlea',
  'data',
  'train',
  'figures',
  'cli',
];
const wings = ['elm', 'lstm', 'mamba', 'biophysics', 'cochlea'];
const root = join(process.cwd(), 'src');

const files = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
  .map((entry) => join(entry.parentPath, entry.name));

function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/(?:from|import)\s*\(?\s*'([^']+)'/g)].map((match) => match[1]);
}

test('every file stands on a floor of the house', () => {
  for (const file of files) {
    const [floor, ...rest] = relative(root, file).split(sep);
    if (rest.length > 0) assert.ok(floors.includes(floor), `${relative(root, file)}: no floor is called ${floor}`);
  }
});

test('imports go to floors above, or stay on their own', () => {
  for (const file of files) {
    const name = relative(root, file);
    const [floor, ...rest] = name.split(sep);
    if (rest.length === 0) continue;
    for (const target of importsOf(file).filter((path) => path.startsWith('.'))) {
      const [reached] = relative(root, join(dirname(file), target)).split(sep);
      const message = `${name} imports ${target}`;
      assert.ok(floors.indexOf(reached) <= floors.indexOf(floor), message);
      if (wings.includes(floor) && wings.includes(reached)) assert.is(reached, floor, message);
    }
  }
});

test('only cli imports Node modules statically', () => {
  for (const file of files) {
    if (relative(root, file).startsWith('cli')) continue;
    const text = readFileSync(file, 'utf8');
    assert.not.match(text, /^import (?!type).*from 'node:/m, relative(root, file));
  }
});

test.run();
