import { Injectable } from '@nestjs/common';
import { Observable } from 'rxjs';

export interface Item {
  readonly sku: string;
}

@Injectable()
export class CatalogClient {
  async items(): Promise<Item[]> {
    return [{ sku: 'mug' }];
  }
}

@Injectable()
export class CatalogCache {
  #items: Item[] = [];

  store(items: Item[]): Item[] {
    return (this.#items = items);
  }

  items(): Item[] {
    return this.#items;
  }
}

@Injectable()
export class PriceFeed {
  prices(sku: string): Observable<number> {
    return new Observable((subscriber) => subscriber.next(sku.length));
  }

  async *pages(): AsyncGenerator<Item[]> {
    yield [{ sku: 'mug' }];
  }
}
