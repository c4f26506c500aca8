-- What time alone brings: queue/calltime.go, agentstate.go, callbacks.go and
-- supervise.go, where they implement timed.

-- offer_due ends an offer that was not acknowledged or not answered in time: the
-- agent is not ready, the call back in its place.
local function offer_due(o)
  if now >= o.expires_at then
    add_declined(offered(o), o.agent)
    give_back(o, ENDED_EXPIRED, REASON_NO_ANSWER)
  elseif o.ack_by and now >= o.ack_by then
    give_back(o, ENDED_NOT_ACKNOWLEDGED, REASON_NOT_ACKNOWLEDGED)
  end
end

local function overflow(c, q)
  if not q.overflow_to then
    local _, freed = end_call(c, CALL_OVERFLOWED, EVENT_CALL_OVERFLOWED, REASON_OVERFLOW, ENDED_MOVED)
    free(freed)
    return
  end
  move_to(c, get_queue(q.overflow_to), REASON_OVERFLOW, nil)
  place(c)
end

local function fire_call(c)
  if c.state == CALL_ANSWERED then
    free(finish(c, REASON_MAX_TALK))
    return
  end
  if c.state > CALL_ANSWERED then return end
  local q = get_queue(c.queue)
  if not c.late and now > c.joined_at + q.threshold then
    q.s['late_' .. c.tier] = (q.s['late_' .. c.tier] or 0) + 1
    touch_queue(q)
    note_late(c)
  end
  if q.max_wait and now >= c.joined_at + q.max_wait then
    local _, freed = end_call(c, CALL_TIMED_OUT, EVENT_CALL_TIMED_OUT, REASON_MAX_WAIT, ENDED_MAX_WAIT)
    free(freed)
    return
  end
  local o = get_offer(c.offer)
  if o then offer_due(o) end
  if c.state == CALL_WAITING and c.held_until and now >= c.held_until then release(c) end
  if c.state == CALL_WAITING and q.overflow_after and now >= (c.queued_at or c.joined_at) + q.overflow_after then
    overflow(c, q)
  end
  if c.state < CALL_COMPLETED then arm_call(c) end
end

-- fire_agent: the end of a wrap-up, the end of a lease, the end of an agent's
-- being remembered.
local function fire_agent(a)
  if a.state == AGENT_WRAP_UP and a.wrap_until <= now then
    after_work(a)
    emit({ kind = EVENT_AGENT_STATE_CHANGED, agent = a.id, agent_state = a.state, reason = a.reason })
    settle(a)
  end
  if a.lease_until and a.lease_until <= now then lose(a) end
  if not a.lease_until and gone(a) and now >= a.since + site.keep_agents_age then
    if a.state ~= AGENT_SIGNED_OUT then
      become(a, AGENT_SIGNED_OUT, REASON_LOST)
      emit({ kind = EVENT_AGENT_SIGNED_OUT, agent = a.id, agent_state = a.state, reason = a.reason })
    end
    flush() -- before the record goes
    set_timer('1', a.ord, a.id, nil)
    call('HDEL', key_agents, a.id)
    agents[a.id] = false
    return
  end
  arm_agent(a)
end

local function fire_callback(cb)
  local o = get_offer(cb.offer)
  if o then
    if now >= cb.deadline then
      local a = take_back(cb)
      advance(cb)
      match(a)
      return
    end
    offer_due(o)
  end
  advance(cb)
end

-- fire_owner: a daemon that was silent too long has lost its agents and
-- switches. It takes some at a time; while there are more its timer stays due.
local function fire_owner(id, member)
  local lost = call('ZRANGEBYLEX', key_streams, '[' .. id .. '\0', '(' .. id .. '\1', 'LIMIT', 0, OWNER_STEP)
  for i = 1, #lost do
    local a = get_agent(lost[i]:sub(#id + 13))
    if a then lose(a) else call('ZREM', key_streams, lost[i]) end
  end
  if #lost == OWNER_STEP then return end
  call('HDEL', key_daemons, 'o:' .. id)
  timers[member] = false
  local all, gone_switches = call('HGETALL', key_daemons), {}
  for i = 1, #all, 2 do
    if all[i]:sub(1, 2) == 's:' and get_switch(all[i]:sub(3)) and get_switch(all[i]:sub(3)).owner == id then
      gone_switches[#gone_switches + 1] = all[i]:sub(3)
    end
  end
  table.sort(gone_switches)
  for i = 1, #gone_switches do drop_switch(gone_switches[i]) end
end

-- fire_due fires timers that are due, the earliest first, a bounded number of
-- them. It reports whether there are more.
local function fire_due()
  for _ = 1, FIRE_STEP do
    local first = call('ZRANGE', key_timers, 0, 0, 'WITHSCORES')
    if not first[1] or tonumber(first[2]) > now then return false end
    local member = first[1]
    local class, id = member:sub(1, 1), member:sub(13)
    if class == '3' then
      fire_owner(id, member)
    else
      timers[member] = false
      local fire, record = fire_call, nil
      if class == '0' then
        record = get_call(id)
      elseif class == '1' then
        fire, record = fire_agent, get_agent(id)
      else
        fire, record = fire_callback, get_callback(id)
      end
      if record then fire(record) end
    end
    flush()
  end
  local first = due()
  return first ~= nil and first <= now
end
