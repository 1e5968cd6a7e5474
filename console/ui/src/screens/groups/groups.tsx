import { place } from '../../router';
import { GroupScreen } from './group';
import { List } from './list';

/** All consumer groups, or one. */
export function Groups() {
  const name = place.value.segments[1];
  return name ? <GroupScreen key={name} name={name} /> : <List />;
}
