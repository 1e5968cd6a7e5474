import { place } from '../../router';
import { LimitScreen } from './limit';
import { List } from './list';

/** All limits, or one. */
export function Limits() {
  const name = place.value.segments[1];
  return name ? <LimitScreen key={name} name={name} /> : <List />;
}
