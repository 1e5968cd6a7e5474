package valkey

import "github.com/redis/go-redis/v9"

// Both scripts answer {admitted, remaining, µs until it passes, µs until there is
// one more}. Numbers are whole and below 2^51, where Lua's doubles are exact.

// bucket holds a debt that drains by ARGV rate a microsecond; a unit costs per, and
// full is the most. What it stores is debt, time, and full.
var bucket = redis.NewScript(`
local op, per, rate, full, cost = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local debt = 0
local v = redis.call('GET', KEYS[1])
if v then
  local d, l, f = string.match(v, '^(%d+):(%d+):(%d+)$')
  if d then
    debt = tonumber(d)
    f = tonumber(f)
    if f ~= full then debt = math.min(full, math.ceil(debt / f * full)) end
    local gone = math.max(0, now - tonumber(l))
    if gone >= math.ceil(debt / rate) then debt = 0 else debt = debt - gone * rate end
  end
end
local want = cost * per
local ok, wait = 1, 0
if op == 'back' then
  debt = math.max(0, debt - want)
elseif debt + want > full then
  ok, wait = 0, math.ceil((debt + want - full) / rate)
elseif op == 'take' then
  debt = debt + want
end
if op ~= 'look' and ok == 1 and cost > 0 then
  if debt > 0 then
    redis.call('SET', KEYS[1], string.format('%.0f:%.0f:%.0f', debt, now, full), 'PX', math.ceil(debt / rate / 1000) + 1)
  else
    redis.call('DEL', KEYS[1])
  end
end
local left = math.floor((full - debt) / per)
local more = 0
if (left + 1) * per <= full then more = math.ceil((debt - full + (left + 1) * per) / rate) end
return {ok, left, wait, more}
`)

// window counts in windows of ARGV length. What it stores is the window's number,
// the count and the length.
var window = redis.NewScript(`
local op, length, quota, cost = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local index = math.floor(now / length)
local count = 0
local v = redis.call('GET', KEYS[1])
if v then
  local i, c, l = string.match(v, '^(%d+):(%d+):(%d+)$')
  if i and (tonumber(i) >= index or tonumber(l) ~= length) then count = math.min(quota, tonumber(c)) end
end
local rest = (index + 1) * length - now
local ok, wait = 1, 0
if op == 'back' then
  count = math.max(0, count - cost)
elseif count + cost > quota then
  ok, wait = 0, rest
elseif op == 'take' then
  count = count + cost
end
if op ~= 'look' and ok == 1 and cost > 0 then
  redis.call('SET', KEYS[1], string.format('%.0f:%.0f:%.0f', index, count, length), 'PX', math.ceil(rest / 1000) + 1)
end
local more = 0
if count > 0 then more = rest end
return {ok, quota - count, wait, more}
`)
