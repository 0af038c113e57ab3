export { wasm } from './session.js';
