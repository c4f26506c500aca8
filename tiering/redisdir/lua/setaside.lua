#!lua
-- Purpose: move a bucket that is no hash out of the way, and note that the shard
--   has to be counted anew.
-- KEYS: 1 counts, 2 the bucket, 3 where to
-- Returns: 1 when it was moved, 0 when it is a hash or not there.
-- Cost: O(1)
local kind = redis.call('TYPE', KEYS[2])['ok']
if kind == 'hash' or kind == 'none' then
  return 0
end
redis.call('HSET', KEYS[1], 'dirty', 1)
redis.call('RENAME', KEYS[2], KEYS[3])
return 1
