import assert from 'node:assert/strict';
import { test } from 'node:test';
import { after } from '../src/screens/limits/keys';
import { manner, tidy, type Limit } from '../src/screens/limits/model';
import { samples } from '../src/screens/limits/pace';

test('durations lose the zeros at their end', () => {
  assert.equal(tidy('5/15m0s burst=20'), '5/15m burst=20');
  assert.equal(tidy('100/1h0m0s'), '100/1h');
  assert.equal(tidy('3/1m30s'), '3/1m30s');
  assert.equal(tidy('7/10s'), '7/10s');
  assert.equal(tidy('9/1h30m0s'), '9/1h30m');
});

test('times to come are rounded up, so that nobody comes too early', () => {
  assert.deepEqual([0, 0.0011, 0.4321, 9.31, 10.01, 119.2, 120, 7199, 86400].map(after), ['now', 'in 2 ms', 'in 433 ms', 'in 9.4 s', 'in 11 s', 'in 120 s', 'in 2 min', 'in 120 min', 'in 24 h']);
});

test('what becomes of what is too much', () => {
  assert.equal(manner({ limit: '1/s' }), 'refused');
  assert.equal(manner({ limit: '1/s', action: 'shape', max_wait: '5s' }), 'waits, up to 5s');
  assert.equal(manner({ limit: '1/s', action: 'shape', mode: 'shadow' }), 'only counted');
});

const seen = (allowed: number, rejected: number, shaped = 0, would_reject = 0) => ({ counts: { allowed, rejected, shaped, would_reject } }) as Limit;

test('rates are differences over time, and begin anew with the counts', () => {
  let all = samples([], seen(100, 10), 0);
  assert.deepEqual([all.length, all[0]!.admitted, all[0]!.refused], [1, 0, 0]);
  all = samples(all, seen(110, 10, 10, 4), 2000);
  assert.deepEqual([all[1]!.admitted, all[1]!.refused], [10, 2]);
  assert.equal(samples(all, seen(111, 10, 10, 4), 2100), all); // too soon to tell
  assert.equal(samples(all, seen(1, 0), 4000).length, 1);
  for (let i = 2; i < 200; i++) all = samples(all, seen(110 + i, 10, 10, 4), i * 2000);
  assert.equal(all.length, 61);
});
