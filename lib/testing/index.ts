export { resetDefaultRegistry } from '../nest/default-registry.js';
export { FakeClock, settlePromises } from './fake-clock.js';
