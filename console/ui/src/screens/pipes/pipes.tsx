import { place } from '../../router';
import { List } from './list';
import { PipeScreen } from './pipe';

/** All declared pipes, or one. */
export function Pipes() {
  const name = place.value.segments[1];
  return name ? <PipeScreen key={name} name={name} /> : <List />;
}
