#!lua
-- Puts a site's settings in place. A queue keeps its number for ever; one that is
-- configured no longer serves those who wait in it, and takes nobody new.
--
-- KEYS     all of the site's
-- ARGV     1 schema version, 2 print of the settings, 3 the site's numbers, 4 packed
--          list of { name, queue }, 5 packed tables of clock changes by zone,
--          6 how many numbers there are for queues, 7 packed texts of the site
-- returns  OK, or SCHEMA and the version that is there, or QUEUES
-- cost     O(n) in queues
local schema = call('HGET', key_site, 'schema')
if schema and schema ~= ARGV[1] then return { 'SCHEMA', schema } end
if not schema and call('EXISTS', unpack(KEYS)) > 0 then return { 'SCHEMA', '' } end
local numbers = decode(call('HGET', key_site, 'numbers') or pack({}))
local names, here, count = {}, {}, 0
for _ in pairs(numbers) do count = count + 1 end
local list = decode(ARGV[4])
for i = 1, #list do
  local name, q = list[i][1], list[i][2]
  if not numbers[name] then
    if count >= tonumber(ARGV[6]) then return { 'QUEUES' } end
    numbers[name], count = count, count + 1
  end
  here[name], names[#names + 1] = true, name
  q.no = numbers[name]
  call('HSET', key_site, 'queue:' .. name, pack(q))
end
for name in pairs(numbers) do
  if not here[name] then
    local q = decode(call('HGET', key_site, 'queue:' .. name))
    q.gone = true
    call('HSET', key_site, 'queue:' .. name, pack(q))
    names[#names + 1] = name
  end
end
call('HSET', key_site, 'schema', ARGV[1], 'print', ARGV[2], 'config', ARGV[3], 'words', ARGV[7], 'names', pack(names), 'numbers', pack(numbers), 'zones', ARGV[5])
-- Redis keeps a small hash of short values as a list, which it searches from the
-- front each time. One long value makes it a table.
for _, key in ipairs({ key_totals, key_cohorts, key_callers, key_promised }) do
  call('HSETNX', key, '', ('-'):rep(65))
end
-- And a small sorted set alike. What stands there comes after everything else.
for _, key in ipairs({ key_timers, key_lines, key_live }) do
  call('ZADD', key, '+inf', ('~'):rep(65))
end
call('ZADD', key_idle, 0, ('~'):rep(65))
return { 'OK' }
