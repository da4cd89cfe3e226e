import 'reflect-metadata';
import { CircuitBreakerRegistry, CircuitProtected, ResilienceModule } from 'nestjs-bulwark';
import { type Deferred, Lab, deferred, down, settled } from '../support/lab.js';
import { closeAll, start } from '../nest/support/applications.js';

afterEach(closeAll);

let answers: Deferred<string>[];

class Payments {
  @CircuitProtected('bank')
  charge(): Promise<string> {
    const answer = deferred<string>();
    answers.push(answer);
    return answer.promise;
  }
}

/**
 * Plays calls of a service in an application: `c` calls, `w` lets the recovery time go by, and `s2` or
 * `f2` is how the third call that got through ends, whenever it began.
 */
async function stateAfter(history: string): Promise<string> {
  const lab = new Lab();
  answers = [];
  const application = await start({
    imports: [
      ResilienceModule.forRoot({
        circuitBreakers: { bank: { failureThreshold: 2, successThreshold: 1 } },
        runtime: lab.runtime,
      }),
    ],
    providers: [Payments],
  });
  const payments = application.get(Payments);
  for (const [step, which] of history.split(' ')) {
    const answer = answers[Number(which)];
    if (step === 'c') void settled(payments.charge());
    if (step === 'w') lab.clock.jump(30_000);
    if (step === 's') answer?.resolve('charged');
    if (step === 'f') answer?.reject(down);
    await lab.clock.advance(0);
  }
  return application.get(CircuitBreakerRegistry).get('bank').state;
}

describe('a result that comes late', () => {
  it.each([
    ['a failure reopens a half-open circuit', 'c c c f0 f1 w c f2', 'half_open'],
    ['failures open a circuit that has recovered', 'c c c c f0 f1 w c s4 f2 f3', 'closed'],
    ['a success closes an open circuit', 'c c c f0 f1 s2', 'open'],
    ['a success from before the opening closes a half-open one', 'c c c f0 f1 w c s2', 'half_open'],
    ['a probe of the last recovery closes the next', 'c c f0 f1 w c c f2 w c s3', 'half_open'],
    ['a probe of the last recovery reopens the next', 'c c f0 f1 w c c f2 w c f3', 'half_open'],
    ['a success forgives failures of a later period', 'c c c f0 f1 w c s3 c f4 s2 c f5', 'open'],
  ])('never does this: %s', async (_wrong, history, state) => {
    expect(await stateAfter(history)).toBe(state);
  });
});
