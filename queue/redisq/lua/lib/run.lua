-- How a command begins, ends and answers.

-- begin reads the site. It reports whether the settings are those that the daemon
-- knows; if not, nothing can be decided (CONFIG).
function m.begin(at, print)
  local v = call('HMGET', key_site, 'print', 'meta', 'config')
  if v[1] ~= print then return false end
  m.meta_before = v[2]
  m.meta, m.site = v[2] and decode(v[2]) or {}, m.read_site(v[3])
  m.now = max(tonumber(at), m.meta.now or 0)
  m.due()
  return true
end

-- read_site returns the settings that are numbers. SITE_NAMES makes a variable of
-- each.
function m.read_site(raw)
  SITE_NAMES
  return SITE_TABLE
end

-- word returns one of the settings that are texts: name, zone, policy (packed).
function m.word(name)
  if not m.words then m.words = decode(call('HGET', key_site, 'words')) end
  return m.words[name]
end

-- due returns when the next timer is due; nil when none is armed.
function m.due()
  local first = call('ZRANGE', key_timers, 0, 0, 'WITHSCORES')
  m.first_timer, m.first_due = first[1] or false, tonumber(first[2]) or false
  if m.first_due == math.huge then m.first_due = false end -- see install.lua
  m.first_moved = false
  return m.first_due
end

-- answer tells the daemon, beside what was asked, the command's instant, when
-- the next timer is due, as far as it is known before the timers are written,
-- and the last event.
function m.answer(status, body)
  return { status, m.nonce, m.now, m.first_due or 0, m.meta.last_event or 0, body or '', m.damaged }
end

-- pack_result packs an answer: its records as they stand now.
function m.pack_result(res)
  local out = {
    position = res.position, wait = res.wait, added = res.added, closed = res.closed, kept = res.kept,
    reranked = res.reranked, items = res.items, duplicate = res.duplicate,
    erased_calls = res.erased_calls, erased_callbacks = res.erased_callbacks, live = res.live,
  }
  if res.the_call then out.call_id, out.call_record = res.the_call.id, m.frozen_call(res.the_call) end
  if res.the_agent then out.agent_id, out.agent_record = res.the_agent.id, m.frozen_agent(res.the_agent) end
  if res.the_callback then out.callback_id, out.callback_record = res.the_callback.id, m.frozen_callback(res.the_callback) end
  local o = res.the_offer
  if o then
    out.offer, out.offer_record = o.epoch, m.frozen_offer(o)
    if o.call_id then
      out.offer_call = m.frozen_call(m.get_call(o.call_id))
    else
      out.offer_callback = m.frozen_callback(m.get_callback(o.callback_id))
    end
  end
  return pack(out)
end

-- remembered returns the first answer to a request id, nil when it is new. One
-- that is older than requests are kept counts as new.
function m.remembered(kind)
  local first = m.load(key_requests, kind .. ':' .. m.request_id)
  if not first or first.at < m.now - m.site.keep_requests_age then return nil end
  if first.print ~= m.request_print then
    return m.answer('NO', pack({ ERR_REQUEST_REUSED, 'request_id',
      '"' .. m.request_id .. '" was used for another ' .. kind .. '; a retry must repeat the request unchanged' }))
  end
  return m.answer('AGAIN', first.result)
end

-- forget_requests drops the oldest answers kept, by age and by number.
function m.forget_requests(most)
  local over = call('LLEN', key_requestlist) - m.site.keep_requests
  for _ = 1, most do
    local oldest = call('LINDEX', key_requestlist, 0)
    if not oldest then return end
    local at, seq, field = oldest:match('^(%d+) (%d+) (.*)$')
    if over <= 0 and tonumber(at) >= m.now - m.site.keep_requests_age then return end
    over = over - 1
    call('LPOP', key_requestlist)
    local kept = m.load(key_requests, field)
    if kept and kept.seq == tonumber(seq) then call('HDEL', key_requests, field) end
  end
end

-- remember keeps a request's first answer.
function m.remember(kind, result)
  local seq, field = (m.meta.request_seq or 0) + 1, kind .. ':' .. m.request_id
  m.meta.request_seq = seq
  call('HSET', key_requests, field, pack({ seq = seq, at = m.now, print = m.request_print, result = result }))
  call('RPUSH', key_requestlist, format('%d %d %s', m.now, seq, field))
  if seq % 8 == 0 then m.forget_requests(16) end
end

-- forget_events trims the log, by number and by age, a bounded number of entries.
function m.forget_events()
  call('XTRIM', key_log, 'MAXLEN', '~', m.site.keep_events, 'LIMIT', 1000)
  local oldest = m.now - m.site.keep_events_age
  local list = call('XRANGE', key_log, '-', '+', 'COUNT', 1)
  if not list[1] or decode(list[1][2][2]).at >= oldest then return end
  list = call('XRANGE', key_log, '-', '+', 'COUNT', 64)
  for i = 1, #list do
    local ok, e = pcall(decode, list[i][2][2])
    if ok and e.at >= oldest or i == #list then
      call('XTRIM', key_log, 'MINID', list[i][1])
      return
    end
  end
end

-- decide_one decides one command in one step and returns its answer. A command
-- that is a part of a longer one is remembered with the last part only.
function m.decide_one(kind, decide, part)
  if m.first_due and m.first_due <= m.now then
    if next(m.timers) then m.flush_timers() end -- another command of this run may have moved it
    if m.first_due and m.first_due <= m.now then return { 'DUE', m.nonce, m.now, m.first_due } end
  end
  if m.request_id ~= '' then
    local first = m.remembered(kind)
    if first then return first end
  end
  local ok, res = pcall(decide)
  if not ok then
    if type(res) ~= 'table' or not res.refused then error(res) end
    return m.answer('NO', pack(res.refused))
  end
  local result = m.pack_result(res)
  if m.request_id ~= '' and not part then m.remember(kind, result) end
  return m.answer('OK', result)
end

-- run decides the one command that the script is for.
function m.run(kind, decide, part)
  if not m.begin(m.args[1], m.args[2]) then return { 'CONFIG', m.nonce } end
  local reply = m.decide_one(kind, decide, part)
  m.flush()
  if reply[5] then reply[4] = m.first_due or 0 end
  return reply
end

-- clock returns microseconds, for measuring how long a run has taken and for nothing
-- else: what is decided depends on the instants that the daemons bring.
function m.clock()
  local t = call('TIME')
  return t[1] % 1000000 * 1000000 + t[2]
end

-- run_all decides several commands, one after the other, and writes what they
-- touched once. ARGV: 1 print of the settings, then for each command its script,
-- how many arguments it has, and these as the script's own. Others wait for Redis
-- too: when the run has taken its time, the commands that are left are answered
-- LATER, and nothing has happened to them.
function m.run_all(scripts)
  local began = m.clock()
  local known = m.begin(ARGV[4], ARGV[1])
  local replies, at = {}, 2
  while ARGV[at] do
    local script, count = ARGV[at], tonumber(ARGV[at + 1])
    local args = { unpack(ARGV, at + 2, at + 1 + count) }
    at = at + 2 + count
    m.args, m.nonce, m.request_id, m.request_print = args, args[3], args[4], args[5]
    if replies[1] and m.clock() - began > RUN_BUDGET then
      replies[#replies + 1] = { 'LATER', m.nonce }
    elseif known then
      m.now = max(tonumber(args[1]), m.now)
      replies[#replies + 1] = scripts[script]()
      if m.damaged[1] then m.damaged = {} end
    else
      replies[#replies + 1] = { 'CONFIG', m.nonce }
    end
  end
  if known then
    m.flush()
    for i = 1, #replies do
      if replies[i][5] then replies[i][4] = m.first_due or 0 end
    end
  end
  return replies
end
