import { Controller, Get } from '@nestjs/common';
import { CircuitBreakerRegistry } from 'nestjs-bulwark';

/** Every circuit of the application, to watch it work. */
@Controller('circuit')
export class CircuitController {
  constructor(private readonly breakers: CircuitBreakerRegistry) {}

  @Get()
  show(): object[] {
    return [...this.breakers].map(({ name, state, remainingTimeout, stats }) => {
      const { totalCalls, successfulCalls, failedCalls, rejectedCalls } = stats;
      return {
        name,
        state,
        remainingTimeout: remainingTimeout && Math.ceil(remainingTimeout),
        totalCalls,
        successfulCalls,
        failedCalls,
        rejectedCalls,
      };
    });
  }
}
