// A process that answers lines with lines of JSON: one side of a benchmark.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

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
  const next = async (mostMs = 300_000) => {
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
  const ask = (line) => {
    child.stdin.write(`${line}\n`);
    return next();
  };
  return { next, ask, end: () => child.stdin.end() };
}
