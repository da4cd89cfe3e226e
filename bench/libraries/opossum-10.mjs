import CircuitBreaker from 'opossum-10';
import { adapt } from './opossum-adapter.mjs';

export const { callBreaker, cases, makeBreaker, makePipeline } = adapt(CircuitBreaker);
