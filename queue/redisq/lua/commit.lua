#!lua
-- Puts down what a daemon has decided, if nobody was faster; every command of the
-- port goes through here, many at once.
--
-- KEYS     all of the site's, see keys.go
-- ARGV     1 version and 2 commit that it was decided upon, 3 print of the settings,
--          4 this commit's own nonce, 5 its version, 6 its fields by kind, packed,
--          7 meta, 8 its entry of the log ('' is none), 9 its events, 10 the entry that
--          follows the log as the daemon knows it, 11 how many commits are kept,
--          12 the first entry of the log to keep ('' keeps all), 13 the daemon,
--          14 for how many milliseconds others are to wait if this one is late
--          ('' is not at all), then any number of times: number of a key, how many
--          arguments of HSET and how many of HDEL follow, and these
-- returns  OK and the nonce; nothing was written with any other answer: NONE without a
--          site, CONFIG with other settings, WAIT and milliseconds while it is another
--          daemon's turn, BLOCKED with the number of a key and an id from which on that
--          stream must be empty and is not, or as behind.lua says
-- cost     O(n) in the fields written; behind: O(n) in the records touched since
local nonce = ARGV[4]
local head = call('HMGET', site, 'version', 'nonce', 'print', 'meta', 'turn')
if not head[1] then return { 'NONE', nonce } end
head[2] = head[2] or ''
if head[3] ~= ARGV[3] then return { 'CONFIG', nonce } end

local function now()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local turn = head[5]
if turn and turn ~= '' then
  local ends, who = turn:match('^(%d+) (.*)$')
  local left = ends and tonumber(ends) - now() or 0
  if who ~= ARGV[13] and left > 0 and left <= 1000 then return { 'WAIT', nonce, left } end
end
if head[1] ~= ARGV[1] or head[2] ~= ARGV[2] then
  if ARGV[14] ~= '' then
    call('HSET', site, 'turn', string.format('%d %s', now() + tonumber(ARGV[14]), ARGV[13]))
  end
  return behind(nonce, head, ARGV[1], ARGV[2], ARGV[10], ARGV[6])
end

-- There is no way back once something is written: what could fail is tried before.
-- A key of another type fails here.
local entry = ARGV[5] .. '-0'
if #call('XRANGE', commits, entry, '+', 'COUNT', 1) > 0 then return { 'BLOCKED', nonce, 2, entry } end
if ARGV[8] ~= '' and #call('XRANGE', log, ARGV[8], '+', 'COUNT', 1) > 0 then return { 'BLOCKED', nonce, 3, ARGV[8] } end
local i, most = 15, #ARGV
while i < most do
  call('HLEN', KEYS[tonumber(ARGV[i])])
  i = i + 3 + ARGV[i + 1] + ARGV[i + 2]
end

call('XADD', commits, 'MAXLEN', '~', ARGV[11], entry, 'n', nonce, 'k', ARGV[6])
if ARGV[8] ~= '' then
  if ARGV[12] ~= '' then
    call('XADD', log, 'MINID', '~', ARGV[12], ARGV[8], 'e', ARGV[9])
  else
    call('XADD', log, ARGV[8], 'e', ARGV[9])
  end
end
i = 15
while i < most do
  local key, sets, dels = KEYS[tonumber(ARGV[i])], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  i = i + 3
  local last = i + sets - 1
  while i <= last do
    local to = math.min(i + 3999, last)
    call('HSET', key, unpack(ARGV, i, to))
    i = to + 1
  end
  last = i + dels - 1
  while i <= last do
    local to = math.min(i + 3999, last)
    call('HDEL', key, unpack(ARGV, i, to))
    i = to + 1
  end
end
if turn and turn ~= '' then
  call('HSET', site, 'version', ARGV[5], 'nonce', nonce, 'meta', ARGV[7], 'turn', '')
else
  call('HSET', site, 'version', ARGV[5], 'nonce', nonce, 'meta', ARGV[7])
end
return { 'OK', nonce }
