// What the benchmarks share: contenders that are processes of their own and take turns on the same cores.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** A process that answers lines with lines. */
export function contender(name, command, args) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors = `${errors}${chunk}`.slice(-2000);
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(errors.trim().split('\n').at(-1) || `${command} ended`);
    return JSON.parse(value);
  };
  child.on('error', (error) => {
    errors = error.message;
  });
  child.stdin.on('error', () => {});
  return {
    name,
    ready: async () => (await next()).ready,
    times: (count) => {
      child.stdin.write(`${count}\n`);
      return next();
    },
    end: () => child.stdin.end(),
  };
}

export const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
