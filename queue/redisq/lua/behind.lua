-- What a daemon needs that is not at the head: the records that the commits since
-- its own have touched, as they are now, and the events since. Both scripts begin
-- with this.

-- How many commits, records and entries of the log one run looks at: it is to stay
-- below a millisecond. Who is further behind asks again.
local COMMITS, RECORDS, ENTRIES = 200, 500, 100
local FIRST_KIND = 5 -- of the keys

local site, commits, log = KEYS[1], KEYS[2], KEYS[3]
local call = redis.call

-- behind answers
--   LOST          the daemon's version is not, or is another one here: history was lost
--   FAR           the commits since are no longer kept, or not as commit.lua writes them
--   BEHIND ...    3 the version and 4 its commit up to which this answer goes, 5 the head's
--                 version, 6 meta, 7 entries of the log, then in turns the number of a
--                 kind, a list of fields and a list of values
-- head is { version, commit, print, meta }; at and known are the daemon's version and
-- commit, event the entry that follows its log, touched a packed list of fields by
-- kind ('' is none) that it wants to have in any case.
local function behind(nonce, head, at, known, event, touched)
  if tonumber(at) > (tonumber(head[1]) or 0) then return { 'LOST', nonce } end
  local list = call('XRANGE', commits, at .. '-0', '+', 'COUNT', COMMITS)
  local own = list[1]
  if not own or own[1] ~= at .. '-0' then return { 'FAR', nonce } end
  if own[2][2] ~= known then return { 'LOST', nonce } end
  local fields, seen, n = {}, {}, 0
  for k = 1, #KEYS - FIRST_KIND + 1 do fields[k], seen[k] = {}, {} end
  local function add(packed)
    local kinds = cmsgpack.unpack(packed)
    for k = 1, #kinds do
      local from, to, was = kinds[k], fields[k], seen[k]
      for i = 1, #from do
        local f = from[i]
        if not was[f] then
          was[f], n = true, n + 1
          to[#to + 1] = f
        end
      end
    end
  end
  if touched ~= '' then add(touched) end
  local last = own
  for i = 2, #list do
    if n > RECORDS and i > 2 then break end
    last = list[i]
    if last[2][1] ~= 'n' or last[2][3] ~= 'k' then return { 'FAR', nonce } end
    add(last[2][4])
  end
  if last[1] == head[1] .. '-0' and last[2][2] ~= head[2] then return { 'LOST', nonce } end
  local out = { 'BEHIND', nonce, last[1], last[2][2], head[1], head[4] or '', call('XRANGE', log, event, '+', 'COUNT', ENTRIES) }
  for k = 1, #fields do
    local f = fields[k]
    for from = 1, #f, 4000 do
      local part = from == 1 and #f <= 4000 and f or { unpack(f, from, math.min(from + 3999, #f)) }
      out[#out + 1] = k
      out[#out + 1] = part
      out[#out + 1] = call('HMGET', KEYS[FIRST_KIND + k - 1], unpack(part))
    end
  end
  return out
end
