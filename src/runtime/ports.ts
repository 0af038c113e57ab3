/** @file Starting workers, and talking to them, in Node and in browsers. */
import { isNode } from './probe.js';
import { type Message, type Reply, type ThreadSetup, workerText } from './threads.js';

const nodeText = () =>
  `${workerText()}const { parentPort, workerData } = require('node:worker_threads');
main(workerData, make, (h) => parentPort.on('message', h), (m) => parentPort.postMessage(m));`;
const browserText = () =>
  `${workerText()}let handler;
self.onmessage = ({ data }) => handler ? handler(data) : main(data, make, (h) => { handler = h; }, (m) => self.postMessage(m));`;

/** What both kinds of worker can do. */
export interface Port {
  post(message: Message): void;
  onReply(handler: (reply: Reply) => void): void;
  onError(handler: (error: Error) => void): void;
  /** Whether the worker keeps a Node process alive: only while an answer is awaited. */
  keepAlive(yes: boolean): void;
  terminate(): Promise<unknown>;
}

async function nodePort(setup: ThreadSetup): Promise<Port> {
  const { Worker } = await import('node:worker_threads');
  const worker = new Worker(nodeText(), { eval: true, workerData: setup, name: 'dendra' });
  return {
    post: (message) => worker.postMessage(message),
    onReply: (handler) => worker.on('message', handler),
    onError: (handler) => worker.on('error', handler),
    keepAlive: (yes) => (yes ? worker.ref() : worker.unref()),
    terminate: () => worker.terminate(),
  };
}

async function browserPort(setup: ThreadSetup): Promise<Port> {
  const url = URL.createObjectURL(new Blob([browserText()], { type: 'text/javascript' }));
  const worker = new Worker(url, { name: 'dendra' });
  worker.postMessage(setup);
  URL.revokeObjectURL(url);
  return {
    post: (message) => worker.postMessage(message),
    onReply: (handler) => worker.addEventListener('message', ({ data }) => handler(data)),
    onError: (handler) => worker.addEventListener('error', ({ message }) => handler(new Error(message))),
    keepAlive: () => {},
    terminate: async () => worker.terminate(),
  };
}

export const openPort = (setup: ThreadSetup): Promise<Port> => (isNode() ? nodePort(setup) : browserPort(setup));
