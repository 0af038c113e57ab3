/** Every JavaScript block in README.md and docs/ runs, from the package's own root; links inside the repository lead somewhere. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { assert, suite } from '../harness.js';

const test = suite('docs/examples');
const root = process.cwd();
const pages = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'CHANGELOG.md']
  .concat(readdirSync(join(root, 'docs'), { recursive: true }).map((name) => join('docs', String(name))))
  .concat(
    ['datasets', 'models'].flatMap((folder) =>
      readdirSync(join(root, folder)).map((name) => join(folder, name, 'README.md')),
    ),
  )
  .filter((page) => page.endsWith('.md'));

/** The ```js blocks of a page, and the ```text block that follows each, if one does: what it prints. */
function examples(page: string) {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/```js\n([\s\S]*?)```(?:\s*```text\n([\s\S]*?)```)?/g)].map(([, code, printed]) => ({
    code,
    printed,
  }));
}

test('the README has an example of at most 12 lines', () => {
  const [first] = examples('README.md');
  assert.ok(first, 'a js block');
  assert.ok(first.code.trim().split('\n').length <= 12);
});

for (const page of pages) {
  examples(page).forEach(({ code, printed }, k) => {
    test(`${page}: example ${k + 1} runs`, async () => {
      // Inside the package, so that `dendra` means this package.
      const folder = join(root, '.build', 'examples');
      mkdirSync(folder, { recursive: true });
      const file = join(folder, `${page.replaceAll(/\W/g, '-')}-${k}.mjs`);
      writeFileSync(file, code);
      const { stdout } = await promisify(execFile)(process.execPath, [file], { cwd: root });
      if (printed !== undefined) assert.is(stdout.trim(), printed.trim());
    });
  });
}

test('links to files lead somewhere', () => {
  for (const page of pages) {
    const text = readFileSync(join(root, page), 'utf8').replaceAll(/```[\s\S]*?```|`[^`]*`/g, '');
    for (const [, target] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      assert.ok(existsSync(join(root, dirname(page), target)), `${page} links to ${target}`);
    }
  }
});

test.run();
