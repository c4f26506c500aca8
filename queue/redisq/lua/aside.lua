#!lua flags=allow-oom
-- Gives a key another name when it holds what no daemon has put there: it is of
-- another type, or it is a stream with an entry beyond the head of the history,
-- before which nothing can be added. The history goes on without the commits so far,
-- so that every daemon reads the site anew.
--
-- KEYS     all of the site's, see keys.go, then the other name
-- ARGV     1 number of the key, 2 the type it is to have, 3 the id from which on a
--          stream is to be empty ('' is any), 4 version that this goes for, 5 a nonce,
--          6 no fields by kind, packed
-- returns  OK, or NO when there is nothing wrong with the key (by now)
-- cost     O(1)
local site, commits, name = KEYS[1], KEYS[2], KEYS[#KEYS]
local key = KEYS[tonumber(ARGV[1])]
local call = redis.call
local kind = call('TYPE', key).ok
if call('HGET', site, 'version') ~= ARGV[4] or kind == 'none' or call('EXISTS', name) > 0 then return { 'NO' } end
if kind == ARGV[2] and (ARGV[3] == '' or #call('XRANGE', key, ARGV[3], '+', 'COUNT', 1) == 0) then return { 'NO' } end
local others = call('TYPE', commits).ok
if key ~= commits and others ~= 'none' and others ~= 'stream' then return { 'NO' } end -- that one first
local version = string.format('%d', ARGV[4] + 1)
if key ~= commits and #call('XRANGE', commits, version .. '-0', '+', 'COUNT', 1) > 0 then return { 'NO' } end
call('RENAME', key, name)
call('XADD', commits, 'MAXLEN', 1, version .. '-0', 'n', ARGV[5], 'k', ARGV[6])
call('HSET', site, 'version', version, 'nonce', ARGV[5])
return { 'OK' }
