import { Injectable } from '@nestjs/common';
import { Resilient, currentSignal } from 'nestjs-bulwark';
import { type Quote, Supplier } from './supplier.js';

@Injectable()
export class QuotesService {
  constructor(private readonly supplier: Supplier) {}

  @Resilient('quotes')
  find(article: string): Promise<Quote> {
    return this.supplier.quote(article, currentSignal());
  }
}
