import * as cockatiel from 'cockatiel-4';
import { adapt } from './cockatiel-adapter.mjs';

export const { callBreaker, cases, makeBreaker, makePipeline } = adapt(cockatiel);
