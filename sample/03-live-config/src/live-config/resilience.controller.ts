import { BadRequestException, Body, Controller, Get, Patch } from '@nestjs/common';
import {
  InjectPolicy,
  type Pipeline,
  type PolicySnapshot,
  ResilienceConfigError,
  ResilienceConfigurator,
} from 'nestjs-bulwark';
import { onlyLiveOptions } from './config-file.js';

/** For operators: put a guard of your own in front of it. */
@Controller('resilience')
export class ResilienceController {
  constructor(
    private readonly configurator: ResilienceConfigurator,
    @InjectPolicy('quotes') private readonly quotes: Pipeline,
  ) {}

  /** What is in force, and what came of it so far. */
  @Get()
  show(): readonly PolicySnapshot[] {
    return this.quotes.snapshot().policies;
  }

  /** All of the change or, where a part of it is wrong, none. */
  @Patch()
  change(@Body() changes: unknown): readonly PolicySnapshot[] {
    try {
      this.configurator.configure(onlyLiveOptions(changes));
    } catch (error) {
      throw refusalOf(error);
    }
    return this.show();
  }
}

function refusalOf(error: unknown): unknown {
  const message = 'Nothing has changed';
  if (error instanceof ResilienceConfigError) {
    return new BadRequestException({ message, issues: error.issues });
  }
  if (error instanceof TypeError) {
    return new BadRequestException({ message, issues: [error.message] });
  }
  return error;
}
