#!lua
-- Purpose: replace a caller's ratings, only where what is stored is still what the
--   replacement was computed from.
-- KEYS: 1 ratings of a shard
-- ARGV: 1 number, 2 what is stored until now ('' for nothing), 3 what shall be ('' for
--   nothing)
-- Returns: 1 and '' when it is replaced, else 0 and what was found
-- Cost: O(1)
local found = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if found ~= ARGV[2] then
  return {0, found}
end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
return {1, ''}
