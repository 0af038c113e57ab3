/** @file What ships with the command: its version, and data found relative to it wherever it was installed or built. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DendraError } from '../base/errors.js';

let found: Promise<{ folder: string; version: string }> | undefined;

/** The nearest folder above this file whose package.json is dendra's: bundled code may lie at any depth in it. */
async function findPackage(): Promise<{ folder: string; version: string }> {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = dirname(folder)) {
    try {
      const { name, version } = JSON.parse(await readFile(join(folder, 'package.json'), 'utf8'));
      if (name === 'dendra') return { folder, version };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    if (dirname(folder) === folder) {
      throw new DendraError('failed', `dendra: expected its package.json above ${start}, got none; install it again`);
    }
  }
}

export async function packageVersion(): Promise<string> {
  found ??= findPackage();
  return (await found).version;
}

/** A path inside the package, such as `packagePath('datasets', 'neuronio-mini')`. */
export async function packagePath(...parts: string[]): Promise<string> {
  found ??= findPackage();
  return join((await found).folder, ...parts);
}
