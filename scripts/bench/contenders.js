// What the benchmarks share: contenders that are processes of their own and take turns on the same cores.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Between turns all rest so long: threads of the one before may look for more work for milliseconds, on cores that are the next one's. */
const restMs = 50;

/** A process that answers lines with lines of JSON. */
export function contender(command, args) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors = `${errors}${chunk}`.slice(-2000);
  });
  child.on('error', (error) => {
    errors = error.message;
  });
  child.stdin.on('error', () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  /** The next answer; a process that takes longer is ended. */
  const next = async (mostMs = 600_000) => {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, mostMs);
    const { value, done } = await lines.next();
    clearTimeout(timer);
    if (late) throw new Error(`no answer in ${Math.round(mostMs / 1000)} s`);
    if (done) throw new Error(errors.trim().split('\n').at(-1) || `${command} ended`);
    return JSON.parse(value);
  };
  const ask = async (line) => {
    await new Promise((resolve) => setTimeout(resolve, restMs));
    child.stdin.write(`${line}\n`);
    return next();
  };
  return { next, ask, end: () => child.stdin.end() };
}

export const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];
