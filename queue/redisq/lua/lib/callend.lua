-- Calls that end: queue/callend.go.

-- hang_up ends a call: one that waits is abandoned, one that is answered is
-- complete, one that has not arrived yet leaves a tombstone.
function m.hang_up(id, switch, at, reason)
  if id == '' then m.refuse(ERR_INVALID, 'call_id', 'must not be empty') end
  local c = m.known_call(id)
  if not c then return m.call_result(m.bury(id, switch, at, reason)) end
  if not m.same_switch(c, switch) then
    m.refuse(ERR_CALL_NOT_FOUND, 'call_id', '"' .. id .. '" is no call of switch "' .. switch .. '"')
  end
  if c.state == CALL_WAITING or c.state == CALL_OFFERED then
    local cb, freed = m.end_call(c, CALL_ABANDONED, EVENT_CALL_ABANDONED, reason, ENDED_CALLER_HUNG_UP)
    m.free(freed)
    local res = m.call_result(c)
    res.the_callback = cb
    return res
  end
  if c.state == CALL_ANSWERED then
    m.free(m.finish(c, reason))
    return m.call_result(c)
  end
  local res = m.call_result(c)
  res.duplicate = true
  return res
end

-- bury records that a call is over of which nobody has told that it began.
function m.bury(id, switch, at, reason)
  m.meta.call_seq = (m.meta.call_seq or 0) + 1
  local c = {
    id = id, switch = switch, state = CALL_ABANDONED, reason = reason, seq = m.meta.call_seq, arrived_at = at,
    ended_at = m.now, tombstone = true,
  }
  m.calls[id] = c
  m.touch_call(c)
  m.keep_ended(c)
  return c
end

-- arrive_too_late lets a call whose hang-up came first end as it would have in
-- the right order. The switch's own times, where it gave both, say how long the
-- caller waited.
function m.arrive_too_late(grave, q, said)
  local hung_up, ended, reason, seq = grave.arrived_at, grave.ended_at, grave.reason, grave.seq
  local wait = 0
  if hung_up and said.arrived_at then wait = min(max(0, hung_up - said.arrived_at), HOUR) end
  call('ZREM', key_ended, m.line_member(grave))
  local c = m.new_call(grave.id, said, q, ended - wait)
  m.meta.call_seq = m.meta.call_seq - 1
  c.seq, c.queued_at = seq, nil
  m.count_total(q, c.tier, 'joined', 1)
  c.state, c.reason, c.ended_at = CALL_ABANDONED, reason, ended
  m.emit_call(c, { kind = EVENT_CALL_JOINED })
  if wait > q.threshold then m.note_late(c) end
  m.count_end(c, CALL_ABANDONED)
  local cb = m.earn_callback(c)
  m.emit_call(c, { kind = EVENT_CALL_ABANDONED, wait = wait ~= 0 and wait or nil, reason = reason, callback_id = c.callback_id })
  m.keep_ended(c)
  local res = m.call_result(c)
  res.the_callback = cb
  return res
end

-- leave takes a call out of its line, its offer and the waiting counts. It
-- returns the offer it was in, which is over.
function m.leave(c, how)
  local o = m.get_offer(c.offer)
  if o then
    m.close_offer(o, how)
    c.agent, c.offer = nil, nil
  else
    m.line_out(c)
  end
  m.count_waiting(c, -1)
  m.meta.waiting = m.meta.waiting - 1
  m.unlink_caller(c)
  c.held_until = nil
  return o
end

-- end_call brings a waiting or offered call to a terminal state. It returns the
-- callback that stands for it, and the agent it was offered to: give him to free.
function m.end_call(c, state, event, reason, offer_ended)
  local o = m.leave(c, offer_ended)
  local cb, freed
  if o then
    freed = m.get_agent(o.agent)
    m.become(freed, AGENT_READY, nil)
    m.emit_returned(o)
  end
  c.state, c.reason, c.ended_at = state, reason, m.now
  m.set_timer('0', c.seq, c.id, nil)
  m.count_end(c, state)
  if state == CALL_ABANDONED then cb = m.earn_callback(c) end
  local wait = m.wait_of(c)
  m.emit_call(c, { kind = event, wait = wait ~= 0 and wait or nil, reason = reason, callback_id = c.callback_id })
  m.keep_ended(c)
  return cb, freed
end

-- free lets an agent whose call has ended have the next one; nil is nobody.
function m.free(a)
  if a then m.settle(a) end
end

-- finish completes an answered call. It returns its agent: give him to free.
function m.finish(c, reason)
  c.state, c.reason, c.ended_at = CALL_COMPLETED, reason, m.now
  m.set_timer('0', c.seq, c.id, nil)
  local q, talk, wait = m.get_queue(c.queue), m.now - c.answered_at, m.wait_of(c)
  m.count_total(q, c.tier, 'completed', 1)
  if talk ~= 0 then m.count_total(q, c.tier, 'talk', talk) end
  local e = {
    kind = EVENT_CALL_COMPLETED, agent = c.agent, reason = reason, wait = wait ~= 0 and wait or nil,
    talk = talk ~= 0 and talk or nil,
  }
  local a = m.get_agent(c.agent)
  if not a or a.call_id ~= c.id then
    m.emit_call(c, e)
    m.keep_ended(c)
    return nil
  end
  a.call_id = nil
  local wrap = m.end_work(a, q)
  q.s.handle = floor((15 * (q.s.handle or q.handle) + talk + wrap) / 16)
  m.touch_queue(q)
  e.agent_state = a.state
  m.emit_call(c, e)
  m.keep_ended(c)
  return a
end
