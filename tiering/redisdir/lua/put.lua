#!lua
-- Purpose: change entries of one shard, each only where what is stored is still
--   what the change was computed from, keep the counts by tier, and publish what
--   was altered. The changes are independent of each other: one that finds
--   something else is left out and answered with what it found.
-- KEYS: 1 counts, 2 long values, 3 what was set aside, 4 who is on the blacklist,
--   5... the buckets
-- ARGV: 1 channel, 2 start of the message, 3 the messages of all changes one after
--   the other, 4 what the counts of tiers 1 to 4 grow by if no change is left
--   out, separated by blanks, 5 for each change 3 bytes: tier counted until now * 8
--   + tier counted from now on (0 for none), length of its message (big endian),
--   6 for each group of changes 2 bytes: how many, and what they do:
--     0 insert; or, one change alone, 1 replace, 2 delete, 3 look; plus 8 to store
--     a long value, 16 to delete one, 32 to set aside what is replaced or deleted,
--     64 if it is in the same bucket as the group before
--   7 who comes on or off the blacklist, for each: number of the change (2 bytes, big
--     endian), 1 for on or 0 for off, length of the member (1 byte), the member
--   then for each change: the field; for 1 and 2 what is stored until now; for 0
--   and 1 the value; with 8 or 16 the field of the long value; with 8 that value;
--   with 32 the name to set it aside under.
-- Returns: number of the change (from 1), what was found there ("" for nothing; for a
--   bucket of a wrong type a table with the error), ... for each change left out.
-- Cost: O(changes), each a search of one listpack.
local counts, longs, aside, black = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local groups = ARGV[6]
local byte, call, pcall, unpack = string.byte, redis.call, redis.pcall, unpack
local wrong = {}
local change, key, at = 0, 4, 8
local unclear = false

local function leave(number, found)
  wrong[#wrong + 1] = number
  wrong[#wrong + 1] = found
end

local function insert(number, bucket, field, value)
  local done = pcall('HSETNX', bucket, field, value)
  if done == 0 then
    leave(number, call('HGET', bucket, field))
  elseif done ~= 1 then
    leave(number, done)
  end
end

-- Many changes of one bucket take two commands in place of one each.
local function insertMany(n, bucket)
  local fields = {}
  for i = 1, n do
    fields[i] = ARGV[at + 2 * i - 2]
  end
  local found = pcall('HMGET', bucket, unpack(fields))
  local new = not found.err
  for i = 1, n do
    new = new and not found[i]
  end
  if new then
    call('HSET', bucket, unpack(ARGV, at, at + 2 * n - 1))
    return
  end
  for i = 1, n do
    insert(change + i, bucket, ARGV[at + 2 * i - 2], ARGV[at + 2 * i - 1])
  end
end

local function single(bucket, what)
  local op = what % 8
  local field = ARGV[at]
  at = at + 1
  local before, value, name, long, extra
  if op == 1 or op == 2 then
    before = ARGV[at]
    at = at + 1
  end
  if op < 2 then
    value = ARGV[at]
    at = at + 1
  end
  if what % 32 >= 8 then
    long = ARGV[at]
    at = at + 1
  end
  if what % 16 >= 8 then
    extra = ARGV[at]
    at = at + 1
  end
  if what % 64 >= 32 then
    name = ARGV[at]
    at = at + 1
  end
  local found = pcall('HGET', bucket, field) or ''
  if found ~= (before or '') then
    leave(change + 1, found)
    return
  end
  if extra then
    call('HSET', longs, long, extra)
  elseif long then
    call('HDEL', longs, long)
  end
  if name then
    call('HSET', aside, name, before)
    unclear = true
  end
  if value then
    call('HSET', bucket, field, value)
  elseif op == 2 then
    call('HDEL', bucket, field)
  end
end

-- Whatever is of a wrong type fails here, before anything is written.
call('HLEN', longs)
call('HLEN', aside)
call('ZCARD', black)
call('HINCRBY', counts, 'v', 1)

for g = 1, #groups, 2 do
  local n, what = byte(groups, g, g + 1)
  if what < 64 then
    key = key + 1
  end
  local bucket = KEYS[key]
  if what % 64 > 0 then
    single(bucket, what)
  elseif n == 1 then
    insert(change + 1, bucket, ARGV[at], ARGV[at + 1])
    at = at + 2
  else
    insertMany(n, bucket)
    at = at + 2 * n
  end
  change = change + n
end

local grown = {}
for n in string.gmatch(ARGV[4], '%S+') do
  grown[#grown + 1] = tonumber(n)
end
local message = ARGV[3]
local left = {}
if #wrong > 0 then
  for i = 1, #wrong, 2 do
    left[wrong[i]] = true
  end
  local heard, from = {}, 1
  for i = 1, change do
    local tiers, high, low = byte(ARGV[5], i * 3 - 2, i * 3)
    local to = from + high * 256 + low
    if left[i] then
      local before, after = math.floor(tiers / 8), tiers % 8
      if before > 0 then
        grown[before] = grown[before] + 1
      end
      if after > 0 then
        grown[after] = grown[after] - 1
      end
    else
      heard[#heard + 1] = string.sub(message, from, to - 1)
    end
    from = to
  end
  message = table.concat(heard)
end
local marks, mark = ARGV[7], 1
while mark < #marks do
  local high, low, on, size = byte(marks, mark, mark + 3)
  local member = string.sub(marks, mark + 4, mark + 3 + size)
  mark = mark + 4 + size
  if not left[high * 256 + low] then
    if on == 1 then
      call('ZADD', black, 0, member)
    else
      call('ZREM', black, member)
    end
  end
end
for tier = 1, 4 do
  if grown[tier] ~= 0 then
    call('HINCRBY', counts, tier, grown[tier])
  end
end
if unclear then
  call('HSET', counts, 'dirty', 1)
end
if message ~= '' then
  call('PUBLISH', ARGV[1], ARGV[2] .. message)
end
return wrong
