#!lua flags=allow-oom
-- Purpose: remove what was set aside of a caller because it could not be read, and
--   the long value of an entry that is gone.
-- KEYS: 1 what was set aside, 2 long values, 3 the caller's bucket
-- ARGV: 1 the caller's field in the bucket, 2 in the long values, 3... the names of
--   what was set aside
-- Returns: how many values that were set aside were removed
-- Cost: O(names)
local removed = 0
for i = 3, #ARGV do
  removed = removed + redis.call('HDEL', KEYS[1], ARGV[i])
end
if redis.pcall('HGET', KEYS[3], ARGV[1]) == false then
  redis.call('HDEL', KEYS[2], ARGV[2])
end
return removed
