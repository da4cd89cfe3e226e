import * as cockatiel from 'cockatiel';
import { adapt } from './cockatiel-adapter.mjs';

export const { callBreaker, cases, makeBreaker, makePipeline } = adapt(cockatiel);
