export { reference } from './session.js';
