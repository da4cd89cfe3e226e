import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { ResilienceHealthIndicator } from 'nestjs-bulwark';

/** The same check without terminus. */
@Controller('ready')
export class ReadinessController {
  constructor(private readonly resilience: ResilienceHealthIndicator) {}

  @Get()
  check(): object {
    const health = this.resilience.check('payments', { breakers: ['payments'] });
    if (health.payments.status === 'down') throw new ServiceUnavailableException(health);
    return health;
  }
}
