import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toOf } from '../src/screens/groups/from';
import { linePath, sampled } from '../src/screens/groups/lag';
import { ago, moves, shares, type Partition } from '../src/screens/groups/model';

const partition = (committed: number, end: number): Partition => ({ topic: 'a', partition: 0, committed, end });

test('a bar is whole, and what is left of it is seen', () => {
  for (const [p, earliest] of [[partition(0, 101), 1], [partition(51, 101), 1], [partition(60, 101), 51], [partition(100_000, 100_001), 1], [partition(3, 101), 51]] as [Partition, number][]) {
    const { done, behind } = shares(p, earliest);
    assert.ok(Math.abs(done + behind - 1) < 1e-9 && done >= 0 && behind >= 0.02, JSON.stringify([p, done, behind]));
  }
  assert.deepEqual(shares(partition(51, 101), 1), { done: 0.5, behind: 0.5 });
  assert.deepEqual(shares(partition(101, 101), 1), { done: 1, behind: 0 });
  assert.deepEqual(shares(partition(0, 1), 1), { done: 1, behind: 0 }); // there is nothing
  assert.deepEqual(shares(partition(101, 101), 101), { done: 1, behind: 0 }); // nor any more
});

test('what a seek means is counted from what is kept', () => {
  const now: Partition[] = [{ ...partition(50, 101), member: 'm' }, { ...partition(0, 9), partition: 1 }];
  const to = (...positions: number[]) => positions.map((position, i) => ({ topic: 'a', partition: i, position }));
  const of = (places: ReturnType<typeof to>, earliest = {}) => moves(now, places, earliest).map((m) => [m.from, m.to, m.again, m.skipped]);
  assert.deepEqual(of(to(0, 0)), [[50, 1, 49, 0], [1, 1, 0, 0]]);
  assert.deepEqual(of(to(0, 9), { 'a/0': 41, 'a/1': 5 }), [[50, 41, 9, 0], [5, 9, 0, 4]]);
  assert.deepEqual(of(to(101)), [[50, 101, 0, 51]]);
  assert.equal(moves(now, to(1), {})[0]!.member, 'm');
  assert.deepEqual(moves([], to(7), {}).map((m) => [m.again, m.skipped]), [[0, 0]]); // it had no place
});

test('the lag of a minute, with its gaps', () => {
  let all = sampled([], 10, 0);
  all = sampled(all, 10, 100); // too soon
  assert.equal(all.length, 1);
  all = sampled(sampled(sampled(all, undefined, 20_000), 5, 40_000), 0, 60_000);
  assert.equal(linePath(all, 60_000, 10, 600, 100), 'M0.0 0.0M400.0 50.0L600.0 100.0');
  assert.equal(sampled(all, 0, 120_001)[0]!.lag, 0);
  assert.equal(sampled(all, 0, 120_001).length, 1);
});

test('times', () => {
  const at = (s: number) => ago('2026-01-01T00:00:00Z', Date.parse('2026-01-01T00:00:00Z') + s * 1000);
  assert.deepEqual([0, 1.9, 2, 119, 120, 7199, 7200, 172_800].map(at), ['now', 'now', '2 s ago', '119 s ago', '2 min ago', '119 min ago', '2 h ago', '2 d ago']);
  assert.equal(ago(undefined, 0), 'never');
  assert.equal(toOf({ kind: 'earliest', time: 'x' }), 'earliest');
  assert.equal(toOf({ kind: 'time', time: '' }), '');
  assert.match(toOf({ kind: 'time', time: '2026-01-31T12:00:01' }), /^@2026-\d\d-\d\dT\d\d:00:01\.000Z$/);
});
