import CircuitBreaker from 'opossum';
import { adapt } from './opossum-adapter.mjs';

export const { cases, makeBreaker, makePipeline } = adapt(CircuitBreaker);
