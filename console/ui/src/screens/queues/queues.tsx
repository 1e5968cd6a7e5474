import { place } from '../../router';
import { List } from './list';
import { QueueScreen } from './queue';

/** All queues, or one. */
export function Queues() {
  const name = place.value.segments[1];
  return name ? <QueueScreen key={name} name={name} /> : <List />;
}
