import CircuitBreaker from 'opossum-10';
import { adapt } from './opossum-adapter.mjs';

export const { cases, makeBreaker, makePipeline } = adapt(CircuitBreaker);
