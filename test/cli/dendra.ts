/** Runs the real binary, as a person would, and tells everything it did. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { assert } from '../harness.js';

const binary = join(process.cwd(), 'bin', 'dendra.js');
/** The recordings that ship: 40 to train on and 12 to validate on, of 6 s each. */
export const mini = (part: 'train' | 'valid') => join(process.cwd(), 'datasets', 'neuronio-mini', part);

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** called with every piece of standard error; may kill */
  onProgress?(text: string, kill: (signal: NodeJS.Signals) => void): void;
}

export function dendra(args: readonly string[], { cwd, env, onProgress }: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [binary, ...args], {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const ran = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      ran.stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      ran.stderr += text;
      onProgress?.(text, (signal) => child.kill(signal));
    });
    child.on('close', (code) => resolve({ code, ...ran }));
  });
}

/** Standard output as the one JSON object that it must be. */
export function jsonOf({ stdout }: Ran) {
  assert.is(stdout.trim().split('\n').length, 1, `one line of JSON: ${stdout.slice(0, 200)}`);
  return JSON.parse(stdout);
}
