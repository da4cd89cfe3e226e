/** Names for the short blocks, which are compiled only. */
import type { Receipt } from './payment-gateway.js';

export declare const logger: { warn(message: string): void };
export declare const metrics: { increment(name: string, tags: object): void };

export declare const payments: {
  charge(
    amount: number,
    options?: { idempotencyKey?: string; signal?: AbortSignal },
  ): Promise<Receipt>;
};
export declare const suggestions: { forUser(userId: string): Promise<string[]> };
export declare const bestsellers: string[];

/** As `bullmq` has them. */
export declare class UnrecoverableError extends Error {}
export declare class DelayedError extends Error {}
export declare class WaitingChildrenError extends Error {}
export declare class RateLimitError extends Error {}
