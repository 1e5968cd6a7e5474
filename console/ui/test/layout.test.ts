import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cli, goString, sh } from '../src/code';
import { bytes, duration } from '../src/format';
import { arrange, until } from '../src/screens/lab/layout';
import type { Message } from '../src/screens/lab/run';

const at = (t: number, lane: string): Message => ({ t, lane, conn: 1, server: false, kind: 'request', label: 'GET /', bytes: 1, raw: '' });

test('messages at one time stand beside each other, later ones below', () => {
  const { drawn, pauses, rows } = arrange([at(500, 'a'), at(1, 'a'), at(2, 'b'), at(3, 'a'), at(501, 'b'), at(9, 'unknown')], ['a', 'b']);
  assert.deepEqual(drawn.map((d) => [d.m.t, d.column, d.row]), [[1, 0, 1], [2, 1, 1], [3, 0, 2], [500, 0, 4], [501, 1, 4]]);
  assert.deepEqual(pauses.map((p) => [p.row, p.t]), [[0, 1], [3, 500]]);
  assert.equal(rows, 5);
  assert.equal(until(drawn, 3).length, 3);
});

test('in a lane, no two messages share a row and none goes up', () => {
  const lanes = ['a', 'b', 'c'];
  const trace = Array.from({ length: 600 }, (_, i) => at((i * 37) % 1000, lanes[i % 3]!));
  const last = new Map<string, number>();
  for (const d of arrange(trace, lanes).drawn) {
    assert.ok(d.row > (last.get(d.m.lane) ?? -1));
    last.set(d.m.lane, d.row);
  }
});

test('what is copied into a shell or a program stays data', () => {
  assert.equal(sh('orders.eu'), 'orders.eu');
  assert.equal(sh("$(x) 'y'"), `'$(x) '\\''y'\\'''`);
  assert.equal(sh('~typing'), "'~typing'");
  assert.equal(cli('parley topic ls'), 'parley topic ls --server http://127.0.0.1:7399');
  assert.equal(goString('a"b'), '`a"b`');
  assert.equal(goString('a`"b'), '"a`\\"b"');
});

test('sizes and durations', () => {
  assert.deepEqual([0, 1023, 1024, 10240, 1048576, 1023 * 1024].map(bytes), ['0 B', '1023 B', '1.0 KiB', '10 KiB', '1.0 MiB', '1.0 MiB']);
  assert.deepEqual(['168h0m0s', '36h0m0s', '1h30m0s', '0s', '50h5m', '1.5s'].map(duration), ['7d', '36h', '1h 30m', '0s', '2d 2h 5m', '1.5s']);
});
