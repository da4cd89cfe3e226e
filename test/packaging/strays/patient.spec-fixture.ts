/** Keeps the run alive while the stray of the other suite comes. */
import { it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';

it('waits', () => sleep(300));
