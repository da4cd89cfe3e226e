import { deadlineHeaders, timeLimit } from 'nestjs-bulwark/core';
import { Lab } from '../support/lab.js';

describe('headers with the deadline', () => {
  it('are none outside a call, and in one without a deadline', () => {
    expect(deadlineHeaders()).toEqual({});
  });

  it.each([
    [0, '250'],
    [100.5, '149'],
    [249, '1'],
    [249.7, '1'],
    [300, '1'],
  ])('say after %d ms of 250 that %s are left', async (gone, left) => {
    const lab = new Lab();
    const policy = timeLimit(250, { runtime: lab.runtime });
    const headers = await policy.execute(() => {
      lab.clock.jump(gone);
      return [deadlineHeaders(), deadlineHeaders('x-left')];
    });
    expect(headers).toEqual([{ 'x-request-timeout-ms': left }, { 'x-left': left }]);
  });
});
