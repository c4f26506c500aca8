#!lua flags=allow-oom
-- Tells a daemon whether it is at the head, and what it lacks if not. It writes
-- nothing, and yet does not say so: a server that has become a replica must refuse
-- it, as it has no say in what the head is.
--
-- KEYS     all of the site's, see keys.go
-- ARGV     1 the daemon's version and 2 its commit, 3 print of the settings, 4 a nonce,
--          5 fields by kind, packed, that it wants to have in any case ('' is none),
--          6 the entry that follows the log as it knows it
-- returns  OK and the nonce at the head; NONE without a site, CONFIG with other
--          settings, or as behind.lua says
-- cost     O(1) at the head, else O(n) in the records touched since
local head = call('HMGET', site, 'version', 'nonce', 'print', 'meta')
if not head[1] then return { 'NONE', ARGV[4] } end
head[2] = head[2] or ''
if head[3] ~= ARGV[3] then return { 'CONFIG', ARGV[4] } end
if ARGV[5] == '' and head[1] == ARGV[1] and head[2] == ARGV[2] then return { 'OK', ARGV[4] } end
return behind(ARGV[4], head, ARGV[1], ARGV[2], ARGV[6], ARGV[5])
