-- Calls that come: queue/calls.go.

-- queue_named returns a queue of the site's settings. One that was taken out of
-- them serves those who wait there and takes nobody new.
function m.queue_named(name)
  local q = m.get_queue(name)
  if not q or q.gone then
    m.refuse(ERR_QUEUE_NOT_FOUND, 'queue', '"' .. (name or '') .. '" is no queue of site ' .. m.word('name'))
  end
  return q
end

-- route_to returns the queue a call goes to: the daemon has looked up the dialed
-- number and the site's default.
function m.route_to(name)
  if name == '' then
    m.refuse(ERR_INVALID, 'queue', 'must be given: the site has no default queue and no route for this number')
  end
  return m.queue_named(name)
end

function m.same_switch(c, switch) return not switch or not c.switch or c.switch == switch end

-- known_call returns a call by its id. An ended one that is older than ended
-- calls are kept is forgotten first.
function m.known_call(id)
  local c = m.get_call(id)
  if c and c.ended_at and c.ended_at < m.now - m.site.keep_calls_age then
    m.forget_call(c)
    return nil
  end
  return c
end

function m.forget_call(c)
  call('HDEL', key_calls, c.id)
  call('ZREM', key_ended, m.line_member(c))
  m.calls[c.id] = false
  m.touched_calls[c.id] = nil
end

-- keep_ended remembers an ended call, in order of its end, then its sequence.
function m.keep_ended(c)
  c.lined, c.held = nil, nil
  call('ZADD', key_ended, c.ended_at, m.line_member(c))
  if c.seq % 8 == 0 then m.forget_ended(key_ended, m.site.keep_calls, m.site.keep_calls_age) end
end

-- forget_ended drops what ended longest ago, by age and by number, a few at a time.
function m.forget_ended(key, most, age)
  local over = call('ZCARD', key) - most
  local old = call('ZRANGE', key, 0, TRIM_STEP - 1, 'WITHSCORES')
  local members, ids = {}, {}
  for i = 1, #old, 2 do
    if over <= 0 and tonumber(old[i + 1]) >= m.now - age then break end
    over = over - 1
    members[#members + 1] = old[i]
    ids[#ids + 1] = old[i]:sub(13)
  end
  if not ids[1] then return end
  call('ZREM', key, unpack(members))
  if key == key_ended then
    call('HDEL', key_calls, unpack(ids))
    for i = 1, #ids do
      m.calls[ids[i]] = false
      m.touched_calls[ids[i]] = nil
    end
    return
  end
  for i = 1, #ids do
    local cb = m.get_callback(ids[i])
    if cb then
      local n = 'callbacks_' .. cb.state
      m.meta[n] = m.meta[n] - 1
    end
    m.callbacks[ids[i]] = false
    m.touched_callbacks[ids[i]] = nil
  end
  call('HDEL', key_callbacks, unpack(ids))
end

-- new_call records a call that has joined at the given instant. What the switch
-- said of it comes packed from the daemon, as a call's record.
function m.new_call(id, c, q, joined)
  m.meta.call_seq = (m.meta.call_seq or 0) + 1
  c.queue, c.state, c.seq, c.joined_at = q.name, CALL_WAITING, m.meta.call_seq, joined
  if joined ~= m.now then c.queued_at = m.now end
  c.id = id
  m.calls[id] = c
  m.touch_call(c)
  return c
end

-- refusal says why a call cannot be admitted, nil when it can: opening hours, the
-- policy for the blacklist, and capacity, of which the lowest tiers may use the
-- smallest share.
function m.refusal(c, q)
  if not m.is_open(q) then return REASON_QUEUE_CLOSED end
  if c.tier == TIER_BLACKLIST and m.site.reject_blacklist then return REASON_BLACKLISTED end
  if m.site.max_waiting and (m.meta.waiting or 0) >= m.site.max_waiting then return REASON_PROCESS_FULL end
  if q.capacity and c.tier ~= TIER_VIP and (q.s.waiting or 0) >= q.room[c.tier] then return REASON_QUEUE_FULL end
  return nil
end

-- is_open reports whether the queue's hours are open now, by the wall clock of
-- their zone: the spans of a holiday, else those of the day of the week.
function m.is_open(q)
  if not q.hours then return true end
  local h = decode(q.hours)
  local clock = m.now + m.zone_offset(m.zone(h.zone), m.now)
  local day = floor(clock / DAY)
  local spans = h.holidays['' .. day] or h.week[(day + 4) % 7 + 1]
  clock = floor((clock - day * DAY) / 1000) * 1000
  for i = 1, #spans do
    if clock >= spans[i][1] and clock < spans[i][2] then return true end
  end
  return false
end

function m.call_result(c)
  local res = { the_call = c }
  if c.state == CALL_WAITING then
    res.position = m.position(c)
    res.wait = m.estimate(m.get_queue(c.queue), res.position)
  end
  return res
end

-- link_caller finds waiting calls by number, for a tier that changes. Most numbers
-- have one; of those that have more, all but one stand in a sorted set.
function m.link_caller(c)
  local index = c.caller and m.index_of(c.caller)
  if index and call('HSETNX', key_callers, index, c.id) == 0 then
    call('ZADD', key_samecaller, 0, index .. '\0' .. c.id)
  end
end

function m.unlink_caller(c)
  if not c.caller then return end
  local index = m.index_of(c.caller)
  if call('HGET', key_callers, index) == c.id then
    call('HDEL', key_callers, index)
  else
    call('ZREM', key_samecaller, index .. '\0' .. c.id)
  end
end

function m.calls_of(caller)
  local index = m.index_of(caller)
  local ids = call('ZRANGEBYLEX', key_samecaller, '[' .. index .. '\0', '(' .. index .. '\1')
  for i = 1, #ids do ids[i] = ids[i]:sub(#index + 2) end
  ids[#ids + 1] = call('HGET', key_callers, index) or nil
  return ids
end

-- join puts an admitted call into its queue and tries to serve it.
function m.join(c, q)
  m.meta.waiting = (m.meta.waiting or 0) + 1
  m.count_waiting(c, 1)
  m.link_caller(c)
  m.count_total(q, c.tier, 'joined', 1)
  m.emit_call(c, { kind = EVENT_CALL_JOINED })
  m.line_up_or_hold(c, q)
  m.arm_call(c)
  m.place(c)
end

-- line_up_or_hold lets a call wait for its preferred agent when he works but is
-- not free, else lines it up for everyone.
function m.line_up_or_hold(c, q)
  local wait = q.preferred_wait or 0
  local a = wait > 0 and m.get_agent(c.preferred)
  if a and m.working(a.state) and m.serves(a, q.name) and (not a.ring or m.ringable(c)) then
    c.held_until = m.now + wait
    m.hold(c, a)
    return
  end
  m.line_up(c)
end

-- arrive admits a call, or says why not; refuse is why, when nothing else is.
function m.arrive(id, switch, name, said, refuse)
  if id == '' then m.refuse(ERR_INVALID, 'call_id', 'must not be empty') end
  local known = m.known_call(id)
  if known then
    if not m.same_switch(known, switch) then
      m.refuse(ERR_CALL_EXISTS, 'call_id', '"' .. id .. '" is a call of switch "' .. known.switch .. '"')
    end
    if not known.tombstone then
      local res = m.call_result(known)
      res.duplicate = true
      return res
    end
  end
  local q = m.route_to(name)
  if known then return m.arrive_too_late(known, q, said) end
  local c = m.new_call(id, said, q, m.now)
  local reason = m.refusal(c, q) or refuse
  if reason then
    c.state, c.reason, c.ended_at = CALL_REFUSED, reason, m.now
    m.count_end(c, CALL_REFUSED)
    m.emit_call(c, { kind = EVENT_CALL_REFUSED, reason = reason })
    m.keep_ended(c)
    return m.call_result(c)
  end
  m.join(c, q)
  return m.call_result(c)
end

-- arm_call sets the call's timer to the next thing that time alone brings.
function m.arm_call(c)
  local at
  local function soonest(t)
    if t and (not at or t < at) then at = t end
  end
  if c.state == CALL_ANSWERED then
    if m.site.max_talk then at = c.answered_at + m.site.max_talk end
  elseif c.state == CALL_WAITING or c.state == CALL_OFFERED then
    local q = m.get_queue(c.queue)
    if not c.late then at = c.joined_at + q.threshold + 1 end
    if q.max_wait then soonest(c.joined_at + q.max_wait) end
    local o = m.get_offer(c.offer)
    if o then
      soonest(o.expires_at)
      soonest(o.ack_by)
    else
      soonest(c.held_until)
      if q.overflow_after then soonest((c.queued_at or c.joined_at) + q.overflow_after) end
    end
  end
  m.set_timer('0', c.seq, c.id, at)
end

-- note_late records that a call, waiting or told of afterwards, passed the
-- threshold before an answer.
function m.note_late(c)
  c.late = true
  local q = m.get_queue(c.queue)
  m.count_total(q, c.tier, 'late', 1)
  m.count(q, c.tier, c.joined_at, 'late_waiting', 1)
  local wait = m.wait_of(c)
  m.emit_call(c, { kind = EVENT_CALL_LATE, wait = wait ~= 0 and wait or nil })
end

-- move_to puts a call that waits in line into another queue, with its place and
-- clock. The caller tries to serve it there.
function m.move_to(c, to, reason, by)
  local from = c.queue
  m.line_out(c)
  m.recount(c, to, c.tier)
  c.overflowed_from, c.queued_at, c.held_until = from, m.now, nil
  m.line_up(c)
  m.arm_call(c)
  m.emit_call(c, { kind = EVENT_CALL_MOVED, from_queue = from, reason = reason, why = by })
end
