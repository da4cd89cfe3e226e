import { Controller, Get, UseInterceptors } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  CircuitBreakerRegistry,
  ResilienceInterceptor,
  ResilienceModule,
  currentSignal,
} from 'nestjs-bulwark';
import request from 'supertest';

/** Rejects when it is told to stop, as fetch does. */
const hangs = (): Promise<never> =>
  new Promise((_resolve, reject) => {
    const signal = currentSignal();
    signal?.addEventListener('abort', () => reject(signal.reason as Error));
  });

@Controller('slow')
@UseInterceptors(ResilienceInterceptor({ circuitBreaker: 'slow' }))
class SlowController {
  @Get()
  slow(): Promise<never> {
    return hangs();
  }
}

it('a deadline that a caller sets for itself does not count against the dependency', async () => {
  const module = await Test.createTestingModule({
    imports: [ResilienceModule.forRoot({ circuitBreakers: { slow: { failureThreshold: 1 } } })],
    controllers: [SlowController],
  }).compile();
  const app = module.createNestApplication();
  await app.init();
  await request(app.getHttpServer()).get('/slow').set('x-request-timeout-ms', '1').expect(504);
  const breaker = app.get(CircuitBreakerRegistry).get('slow');
  expect(breaker.state).toBe('closed');
  expect(breaker.stats).toMatchObject({ failedCalls: 0, ignoredCalls: 1, inFlight: 0 });
  await app.close();
});
