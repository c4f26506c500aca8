#!lua flags=allow-oom
-- Purpose: keep the first answer to a request, unless one is kept still: that is
--   written again as it is, so that replicas confirm it. It runs in a full Redis too,
--   since it answers changes that make room; what it adds ends by itself.
-- KEYS: 1 the request
-- ARGV: 1 the answer, 2 now (milliseconds), 3 for how long Redis keeps it (milliseconds)
-- Returns: 1 when it is kept, 0 when one was
-- Cost: O(1)
local found = redis.call('GET', KEYS[1])
-- An answer is kept until the time in its bytes 18 to 25; see tiering/requests.go.
if found and #found > 25 and struct.unpack('>I8', found, 18) > tonumber(ARGV[2]) then
  redis.call('SET', KEYS[1], found, 'KEEPTTL')
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return 1
