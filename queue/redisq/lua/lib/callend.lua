-- Calls that end: queue/callend.go.

-- hang_up ends a call: one that waits is abandoned, one that is answered is
-- complete, one that has not arrived yet leaves a tombstone.
local function hang_up(id, switch, at, reason)
  if id == '' then refuse(ERR_INVALID, 'call_id', 'must not be empty') end
  local c = known_call(id)
  if not c then return call_result(bury(id, switch, at, reason)) end
  if not same_switch(c, switch) then
    refuse(ERR_CALL_NOT_FOUND, 'call_id', '"' .. id .. '" is no call of switch "' .. switch .. '"')
  end
  if c.state == CALL_WAITING or c.state == CALL_OFFERED then
    local cb, freed = end_call(c, CALL_ABANDONED, EVENT_CALL_ABANDONED, reason, ENDED_CALLER_HUNG_UP)
    free(freed)
    local res = call_result(c)
    res.the_callback = cb
    return res
  end
  if c.state == CALL_ANSWERED then
    free(finish(c, reason))
    return call_result(c)
  end
  local res = call_result(c)
  res.duplicate = true
  return res
end

-- bury records that a call is over of which nobody has told that it began.
local function bury(id, switch, at, reason)
  meta.call_seq = (meta.call_seq or 0) + 1
  local c = {
    id = id, switch = switch, state = CALL_ABANDONED, reason = reason, seq = meta.call_seq, arrived_at = at,
    ended_at = now, tombstone = true,
  }
  calls[id] = c
  touch_call(c)
  keep_ended(c)
  return c
end

-- arrive_too_late lets a call whose hang-up came first end as it would have in
-- the right order. The switch's own times, where it gave both, say how long the
-- caller waited.
local function arrive_too_late(grave, q, said)
  local hung_up, ended, reason, seq = grave.arrived_at, grave.ended_at, grave.reason, grave.seq
  local wait = 0
  if hung_up and said.arrived_at then wait = min(max(0, hung_up - said.arrived_at), HOUR) end
  call('ZREM', key_ended, line_member(grave))
  local c = new_call(grave.id, said, q, ended - wait)
  meta.call_seq = meta.call_seq - 1
  c.seq, c.queued_at = seq, nil
  count_total(q, c.tier, 'joined', 1)
  c.state, c.reason, c.ended_at = CALL_ABANDONED, reason, ended
  emit_call(c, { kind = EVENT_CALL_JOINED })
  if wait > q.threshold then note_late(c) end
  count_end(c, CALL_ABANDONED)
  local cb = earn_callback(c)
  emit_call(c, { kind = EVENT_CALL_ABANDONED, wait = wait ~= 0 and wait or nil, reason = reason, callback_id = c.callback_id })
  keep_ended(c)
  local res = call_result(c)
  res.the_callback = cb
  return res
end

-- leave takes a call out of its line, its offer and the waiting counts. It
-- returns the offer it was in, which is over.
local function leave(c, how)
  local o = get_offer(c.offer)
  if o then
    close_offer(o, how)
    c.agent, c.offer = nil, nil
  else
    line_out(c)
  end
  count_waiting(c, -1)
  meta.waiting = meta.waiting - 1
  unlink_caller(c)
  c.held_until = nil
  return o
end

-- end_call brings a waiting or offered call to a terminal state. It returns the
-- callback that stands for it, and the agent it was offered to: give him to free.
local function end_call(c, state, event, reason, offer_ended)
  local o = leave(c, offer_ended)
  local cb, freed
  if o then
    freed = get_agent(o.agent)
    become(freed, AGENT_READY, nil)
    emit_returned(o)
  end
  c.state, c.reason, c.ended_at = state, reason, now
  set_timer('0', c.seq, c.id, nil)
  count_end(c, state)
  if state == CALL_ABANDONED then cb = earn_callback(c) end
  local wait = wait_of(c)
  emit_call(c, { kind = event, wait = wait ~= 0 and wait or nil, reason = reason, callback_id = c.callback_id })
  keep_ended(c)
  return cb, freed
end

-- free lets an agent whose call has ended have the next one; nil is nobody.
local function free(a)
  if a then settle(a) end
end

-- finish completes an answered call. It returns its agent: give him to free.
local function finish(c, reason)
  c.state, c.reason, c.ended_at = CALL_COMPLETED, reason, now
  set_timer('0', c.seq, c.id, nil)
  local q, talk, wait = get_queue(c.queue), now - c.answered_at, wait_of(c)
  count_total(q, c.tier, 'completed', 1)
  if talk ~= 0 then count_total(q, c.tier, 'talk', talk) end
  local e = {
    kind = EVENT_CALL_COMPLETED, agent = c.agent, reason = reason, wait = wait ~= 0 and wait or nil,
    talk = talk ~= 0 and talk or nil,
  }
  local a = get_agent(c.agent)
  if not a or a.call_id ~= c.id then
    emit_call(c, e)
    keep_ended(c)
    return nil
  end
  a.call_id = nil
  local wrap = end_work(a, q)
  q.s.handle = floor((15 * (q.s.handle or q.handle) + talk + wrap) / 16)
  touch_queue(q)
  e.agent_state = a.state
  emit_call(c, e)
  keep_ended(c)
  return a
end
