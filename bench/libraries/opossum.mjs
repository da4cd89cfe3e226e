import CircuitBreaker from 'opossum';
import { adapt } from './opossum-adapter.mjs';

export const { callBreaker, cases, makeBreaker, makePipeline } = adapt(CircuitBreaker);
