#!lua
-- Purpose: change entries of one shard, each only where what is stored is still
--   what the change was computed from, keep the counts by tier, and publish what
--   was altered. The changes are independent of each other: one that finds
--   something else is left out and answered with what it found.
-- KEYS: 1 counts, 2 long values, 3 what was set aside, 4... the buckets
-- ARGV: 1 channel, 2 start of the message, 3 the messages of all changes one after
--   the other, 4 a head of 5 bytes for each change:
--     index of its bucket's key, counted from KEYS[4] as 1
--     what to do: 0 insert, 1 replace, 2 delete, 3 look; plus 8 to store a long
--       value, 16 to delete one, 32 to set aside what is replaced or deleted
--     tier counted until now * 8 + tier counted from now on; 0 for none
--     length of its message (2 bytes, big endian)
--   then for each change: the field; for 1 and 2 what is stored until now; for 0
--   and 1 the value; with 8 or 16 the field of the long value; with 8 that value;
--   with 32 the name to set it aside under.
-- Returns: number of the change (from 1), what was found there ("" for nothing; for a
--   bucket of a wrong type a table with the error), ... for each change left out.
-- Cost: O(changes), each a search of one listpack.
local counts, longs, aside = KEYS[1], KEYS[2], KEYS[3]
local heads = ARGV[4]
local byte, call, pcall = string.byte, redis.call, redis.pcall
local argv, message = 5, 1
local wrong, heard = {}, {}
local delta = {[0] = 0, 0, 0, 0, 0}
local unclear = false

-- Whatever is of a wrong type fails here, before anything is written.
call('HLEN', longs)
call('HLEN', aside)
call('HINCRBY', counts, 'v', 1)

for i = 1, #heads / 5 do
  local k, what, tiers, high, low = byte(heads, i * 5 - 4, i * 5)
  local bucket, field = KEYS[k + 3], ARGV[argv]
  local op = what % 8
  argv = argv + 1
  local before, value
  if op == 1 or op == 2 then
    before = ARGV[argv]
    argv = argv + 1
  end
  if op < 2 then
    value = ARGV[argv]
    argv = argv + 1
  end
  local done, found
  if op == 0 then
    done = pcall('HSETNX', bucket, field, value)
    if done == 0 then
      found = call('HGET', bucket, field)
    end
  else
    done = pcall('HGET', bucket, field)
    if type(done) ~= 'table' then
      found = done or ''
      if op ~= 3 and found == before then
        if op == 1 then
          call('HSET', bucket, field, value)
        else
          call('HDEL', bucket, field)
        end
        found = nil
      elseif op == 3 and found == '' then
        found = nil
      end
    end
  end
  if type(done) == 'table' then
    found = done
  end
  local long = argv
  if what % 32 >= 8 then
    argv = argv + 1
    if what % 16 >= 8 then
      argv = argv + 1
    end
  end
  local name = ARGV[argv]
  if what >= 32 then
    argv = argv + 1
  end
  local size = high * 256 + low
  if found then
    wrong[#wrong + 1] = i
    wrong[#wrong + 1] = found
  else
    if what % 16 >= 8 then
      call('HSET', longs, ARGV[long], ARGV[long + 1])
    elseif what % 32 >= 16 then
      call('HDEL', longs, ARGV[long])
    end
    if what >= 32 then
      call('HSET', aside, name, before)
      unclear = true
    end
    local from, to = math.floor(tiers / 8), tiers % 8
    delta[from] = delta[from] - 1
    delta[to] = delta[to] + 1
    if size > 0 then
      heard[#heard + 1] = string.sub(ARGV[3], message, message + size - 1)
    end
  end
  message = message + size
end

for tier = 1, 4 do
  if delta[tier] ~= 0 then
    call('HINCRBY', counts, tier, delta[tier])
  end
end
if unclear then
  call('HSET', counts, 'dirty', 1)
end
if #heard > 0 then
  call('PUBLISH', ARGV[1], ARGV[2] .. table.concat(heard))
end
return wrong
