#!/usr/bin/env node
import { existsSync } from 'node:fs';

const cli = new URL('../dist/node/cli/index.js', import.meta.url);
if (!existsSync(cli)) {
  process.stderr.write('dendra: expected a built dist/, found none; run `npm run build` in the dendra folder\n');
  process.exit(1);
}
const { main } = await import(cli.href);
process.exitCode = await main(process.argv.slice(2));
