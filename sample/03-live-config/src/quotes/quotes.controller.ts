import { Controller, Get, Param, ParseEnumPipe, Post } from '@nestjs/common';
import { QuotesService } from './quotes.service.js';
import { MODES, type Mode, type Quote, Supplier } from './supplier.js';

@Controller()
export class QuotesController {
  constructor(
    private readonly quotes: QuotesService,
    private readonly supplier: Supplier,
  ) {}

  @Get('quotes/:article')
  find(@Param('article') article: string): Promise<Quote> {
    return this.quotes.find(article);
  }

  /** Breaks the supplier, or repairs it. */
  @Post('supplier/:mode')
  turn(@Param('mode', new ParseEnumPipe(MODES)) mode: Mode): { mode: Mode } {
    this.supplier.mode = mode;
    return { mode };
  }
}
