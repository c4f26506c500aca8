#!lua flags=allow-oom
-- Puts a site's settings in place, and begins the site's history when there is none.
-- A daemon has to start while memory is full, too: how else would it be emptied.
--
-- KEYS     all of the site's, see keys.go
-- ARGV     1 schema version, 2 print of the settings, 3 the settings, 4 a nonce, 5 no
--          fields by kind, packed
-- returns  OK, or SCHEMA and the version that is there
-- cost     O(1)
local site, commits = KEYS[1], KEYS[2]
local call = redis.call
local kind = call('TYPE', site).ok
if kind ~= 'none' and kind ~= 'hash' then return { 'SCHEMA', '' } end
local schema = call('HGET', site, 'schema')
if schema and schema ~= ARGV[1] then return { 'SCHEMA', schema } end
if not schema then
  if call('EXISTS', unpack(KEYS)) > 0 then return { 'SCHEMA', '' } end
  call('XADD', commits, '1-0', 'n', ARGV[4], 'k', ARGV[5])
  call('HSET', site, 'schema', ARGV[1], 'version', '1', 'nonce', ARGV[4])
end
call('HSET', site, 'print', ARGV[2], 'settings', ARGV[3])
return { 'OK' }
