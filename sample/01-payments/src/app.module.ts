import { type DynamicModule, Logger, Module } from '@nestjs/common';
import {
  type Duration,
  ResilienceModule,
  type RuntimeOptions,
  isTransientError,
} from 'nestjs-bulwark';
import { HealthModule } from './health/health.module.js';
import { PaymentsModule } from './payments/payments.module.js';

export interface AppOptions {
  readonly providerUrl: string;
  /** How long the circuit stays open before a call may probe the provider. */
  readonly recoveryTimeout: Duration;
  /** For tests: another clock. */
  readonly runtime?: RuntimeOptions;
}

const logger = new Logger('Payments');

@Module({})
export class AppModule {
  static register({ providerUrl, recoveryTimeout, runtime }: AppOptions): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ResilienceModule.forRoot({
          circuitBreakers: {
            payments: {
              failureThreshold: 5,
              recoveryTimeout,
              // A declined card is an answer: it says nothing about the provider's health.
              failureExceptions: isTransientError,
              onStateChange: ({ from, to }) =>
                logger.warn(`The circuit went from ${from} to ${to}`),
            },
          },
          retries: {
            provider: {
              maxAttempts: 3,
              baseDelay: '100ms',
              // Spreads the retries of many callers over the whole delay.
              jitter: 'full',
              retryOn: isTransientError,
              onRetry: (attempt, _error, delay) =>
                logger.warn(
                  `Attempt ${attempt} failed, the next follows in ${Math.round(delay)} ms`,
                ),
            },
          },
          policies: {
            reads: { retry: 'provider', circuitBreaker: 'payments' },
          },
          runtime,
        }),
        PaymentsModule.register(providerUrl),
        HealthModule,
      ],
    };
  }
}
