import { type DynamicModule, Logger, Module } from '@nestjs/common';
import { ClientsModule, Transport } from '@nestjs/microservices';
import { type Duration, ResilienceModule, type RuntimeOptions } from 'nestjs-bulwark';
import { PricesController } from './prices/prices.controller.js';
import { PRICE_SERVICE, PricesService, isUnknownSymbol } from './prices/prices.service.js';

export interface AppOptions {
  /** Where the price service listens, on this machine. */
  readonly servicePort: number;
  /** How long the circuit stays open before a call may probe the service. */
  readonly recoveryTimeout: Duration;
  /** For tests: another clock. */
  readonly runtime?: RuntimeOptions;
}

const logger = new Logger('Gateway');

@Module({})
export class AppModule {
  static register({ servicePort, recoveryTimeout, runtime }: AppOptions): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ClientsModule.register([
          {
            name: PRICE_SERVICE,
            transport: Transport.TCP,
            options: { host: '127.0.0.1', port: servicePort },
          },
        ]),
        ResilienceModule.forRoot({
          circuitBreakers: {
            prices: {
              failureThreshold: 5,
              recoveryTimeout,
              ignoreExceptions: isUnknownSymbol,
              onStateChange: ({ from, to }) =>
                logger.warn(`The circuit went from ${from} to ${to}`),
            },
          },
          retries: {
            prices: {
              maxAttempts: 3,
              baseDelay: '100ms',
              jitter: 'full',
              abortOn: isUnknownSymbol,
            },
          },
          policies: {
            // In the fixed order, outermost first: the total limit, the retries, the circuit, each attempt.
            prices: {
              timeLimit: '2s',
              retry: 'prices',
              circuitBreaker: 'prices',
              attemptTimeLimit: '500ms',
            },
          },
          runtime,
        }),
      ],
      controllers: [PricesController],
      providers: [PricesService],
    };
  }
}
