-- What time alone brings: queue/calltime.go, agentstate.go, callbacks.go and
-- supervise.go, where they implement timed.

-- offer_due ends an offer that was not acknowledged or not answered in time: the
-- agent is not ready, the call back in its place.
function m.offer_due(o)
  if m.now >= o.expires_at then
    m.add_declined(m.offered(o), o.agent)
    m.give_back(o, ENDED_EXPIRED, REASON_NO_ANSWER)
  elseif o.ack_by and m.now >= o.ack_by then
    m.give_back(o, ENDED_NOT_ACKNOWLEDGED, REASON_NOT_ACKNOWLEDGED)
  end
end

function m.overflow(c, q)
  if not q.overflow_to then
    local _, freed = m.end_call(c, CALL_OVERFLOWED, EVENT_CALL_OVERFLOWED, REASON_OVERFLOW, ENDED_MOVED)
    m.free(freed)
    return
  end
  m.move_to(c, m.get_queue(q.overflow_to), REASON_OVERFLOW, nil)
  m.place(c)
end

function m.fire_call(c)
  if c.state == CALL_ANSWERED then
    m.free(m.finish(c, REASON_MAX_TALK))
    return
  end
  if c.state > CALL_ANSWERED then return end
  local q = m.get_queue(c.queue)
  if not c.late and m.now > c.joined_at + q.threshold then
    q.s['late_' .. c.tier] = (q.s['late_' .. c.tier] or 0) + 1
    m.touch_queue(q)
    m.note_late(c)
  end
  if q.max_wait and m.now >= c.joined_at + q.max_wait then
    local _, freed = m.end_call(c, CALL_TIMED_OUT, EVENT_CALL_TIMED_OUT, REASON_MAX_WAIT, ENDED_MAX_WAIT)
    m.free(freed)
    return
  end
  local o = m.get_offer(c.offer)
  if o then m.offer_due(o) end
  if c.state == CALL_WAITING and c.held_until and m.now >= c.held_until then m.release(c) end
  if c.state == CALL_WAITING and q.overflow_after and m.now >= (c.queued_at or c.joined_at) + q.overflow_after then
    m.overflow(c, q)
  end
  if c.state < CALL_COMPLETED then m.arm_call(c) end
end

-- fire_agent: the end of a wrap-up, the end of a lease, the end of an agent's
-- being remembered.
function m.fire_agent(a)
  if a.state == AGENT_WRAP_UP and a.wrap_until <= m.now then
    m.after_work(a)
    m.emit({ kind = EVENT_AGENT_STATE_CHANGED, agent = a.id, agent_state = a.state, reason = a.reason })
    m.settle(a)
  end
  if a.lease_until and a.lease_until <= m.now then m.lose(a) end
  if not a.lease_until and m.gone(a) and m.now >= a.since + m.site.keep_agents_age then
    if a.state ~= AGENT_SIGNED_OUT then
      m.become(a, AGENT_SIGNED_OUT, REASON_LOST)
      m.emit({ kind = EVENT_AGENT_SIGNED_OUT, agent = a.id, agent_state = a.state, reason = a.reason })
    end
    m.flush() -- before the record goes
    m.set_timer('1', a.ord, a.id, nil)
    call('HDEL', key_agents, a.id)
    m.agents[a.id] = false
    return
  end
  m.arm_agent(a)
end

function m.fire_callback(cb)
  local o = m.get_offer(cb.offer)
  if o then
    if m.now >= cb.deadline then
      local a = m.take_back(cb)
      m.advance(cb)
      m.match(a)
      return
    end
    m.offer_due(o)
  end
  m.advance(cb)
end

-- fire_owner: a daemon that was silent too long has lost its agents and
-- switches. It takes some at a time; while there are more its timer stays due.
function m.fire_owner(id, member)
  local lost = call('ZRANGEBYLEX', key_streams, '[' .. id .. '\0', '(' .. id .. '\1', 'LIMIT', 0, OWNER_STEP)
  for i = 1, #lost do
    local a = m.get_agent(lost[i]:sub(#id + 13))
    if a then m.lose(a) else call('ZREM', key_streams, lost[i]) end
  end
  if #lost == OWNER_STEP then return end
  call('HDEL', key_daemons, 'o:' .. id)
  m.timers[member] = false
  local all, gone_switches = call('HGETALL', key_daemons), {}
  for i = 1, #all, 2 do
    if all[i]:sub(1, 2) == 's:' and m.get_switch(all[i]:sub(3)) and m.get_switch(all[i]:sub(3)).owner == id then
      gone_switches[#gone_switches + 1] = all[i]:sub(3)
    end
  end
  table.sort(gone_switches)
  for i = 1, #gone_switches do m.drop_switch(gone_switches[i]) end
end

-- fire_due fires timers that are due, the earliest first, a bounded number of
-- them. It reports whether there are more.
function m.fire_due()
  for _ = 1, FIRE_STEP do
    local at = m.due()
    if not at or at > m.now then return false end
    local member = m.first_timer
    local class, id = member:sub(1, 1), member:sub(13)
    if class == '3' then
      m.fire_owner(id, member)
    else
      m.timers[member] = false
      local fire, record = m.fire_call, nil
      if class == '0' then
        record = m.get_call(id)
      elseif class == '1' then
        fire, record = m.fire_agent, m.get_agent(id)
      else
        fire, record = m.fire_callback, m.get_callback(id)
      end
      if record then fire(record) end
    end
    m.flush()
  end
  local at = m.due()
  return at and at <= m.now
end
