import { Observable, filter } from 'rxjs';
import type {
  EventHub,
  RecentEvents,
  ResilienceEvent,
  ResilienceEventType,
} from '../../core/events.js';
import type { Lifetime } from '../../core/runtime.js';

/**
 * Everything that the policies of one application do, as one stream; to be injected. While nobody
 * subscribes and no history is kept nothing is built. It completes when the application shuts down.
 *
 * @example
 * events.of('breaker.opened').subscribe(({ name, opening }) => alert(name, opening));
 */
export class ResilienceEvents extends Observable<ResilienceEvent> {
  constructor(
    private readonly hub: EventHub,
    lifetime?: Lifetime,
  ) {
    super((subscriber) => {
      subscriber.add(hub.listen((event) => subscriber.next(event)));
      subscriber.add(lifetime?.onEnd(() => subscriber.complete()));
    });
  }

  /** Only events of these types. */
  of<T extends ResilienceEventType>(...types: T[]): Observable<ResilienceEvent<T>> {
    const wanted: readonly string[] = types;
    return this.pipe(
      filter((event): event is ResilienceEvent<T> & ResilienceEvent => wanted.includes(event.type)),
    );
  }

  /**
   * The latest events of one policy, or of all, oldest first: at most `events.history` (a module option,
   * default 0) of each. `after` resumes behind the last id that the reader has seen.
   */
  recent(which?: RecentEvents): ResilienceEvent[] {
    return this.hub.recent(which);
  }
}
