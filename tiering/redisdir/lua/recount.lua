#!lua
-- Purpose: replace a shard's counts by what a recount found, unless something was
--   written since the recount began.
-- KEYS: 1 counts
-- ARGV: 1 the count of writes when it began, 2-5 the counts of tiers 1 to 4
-- Returns: 1 when they were replaced, 0 when something was written.
-- Cost: O(1)
if (redis.call('HGET', KEYS[1], 'v') or '0') ~= ARGV[1] then
  return 0
end
redis.call('HINCRBY', KEYS[1], 'v', 1)
redis.call('HSET', KEYS[1], '1', ARGV[2], '2', ARGV[3], '3', ARGV[4], '4', ARGV[5])
redis.call('HDEL', KEYS[1], 'dirty')
return 1
