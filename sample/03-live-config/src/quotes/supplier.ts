import { setTimeout as wait } from 'node:timers/promises';
import { BadGatewayException, Injectable } from '@nestjs/common';

export const MODES = ['ok', 'fail'] as const;
export type Mode = (typeof MODES)[number];

export interface Quote {
  readonly article: string;
  readonly price: number;
}

const WORKING_TIME = 2000;

/** Stands in for somebody else's service: it takes its time, and fails when told to. */
@Injectable()
export class Supplier {
  mode: Mode = 'ok';

  async quote(article: string, signal?: AbortSignal): Promise<Quote> {
    if (this.mode === 'fail') throw new BadGatewayException('The supplier failed');
    await wait(WORKING_TIME, undefined, { signal });
    return { article, price: 9.99 };
  }
}
