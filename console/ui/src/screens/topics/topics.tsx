import { place } from '../../router';
import { List } from './list';
import { TopicScreen } from './topic';

/** All topics, or one. */
export function Topics() {
  const name = place.value.segments[1];
  return name ? <TopicScreen key={name} name={name} /> : <List />;
}
