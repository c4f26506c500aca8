-- Callbacks: queue/callbacks.go, with the record's own rules of package callback.

function m.is_open_callback(cb) return cb.state <= CALLBACK_CLAIMED end

-- new_callback is callback.New and Machine.addCallback: due is nil for "as the
-- policy says".
function m.new_callback(at, arrived_at, caller, q, tier, call_id, reason, due, note)
  local p = m.policy()
  m.meta.call_seq = (m.meta.call_seq or 0) + 1
  local seq = m.meta.call_seq
  local cb = {
    id = format('cb-%d', seq), is_callback = true, seq = seq, caller = caller, queue = q.name, tier = tier,
    state = CALLBACK_PENDING, call_id = call_id, reason = reason, created_at = at, arrived_at = arrived_at or at,
    deadline = at + p.deadline, note = note,
  }
  if not due then
    cb.due_at = m.before_deadline(at, m.next_inside(at + p.delay), cb.deadline) or cb.deadline
  else
    due = m.next_inside(max(due, at))
    cb.due_at = due < cb.deadline and due or m.before_deadline(at, due, cb.deadline) or cb.deadline
  end
  m.callbacks[cb.id] = cb
  call('HSET', key_promised, q.no .. ' ' .. m.index_of(caller), cb.id)
  m.touch_callback(cb)
  m.meta.callbacks_created = (m.meta.callbacks_created or 0) + 1
  m.arm_callback(cb)
  return cb
end

-- open_callback returns the open callback of a number and queue.
function m.open_callback(caller, q) return m.get_callback(call('HGET', key_promised, q.no .. ' ' .. m.index_of(caller)) or nil) end

-- earn_callback promises a callback to a caller who hung up, when the policy says
-- so. There is at most one open callback for a number and queue: the promise
-- already given stands.
function m.earn_callback(c)
  local p = m.policy()
  if not m.contains(p.tiers, c.tier) or not c.caller or m.wait_of(c) < p.short_abandon then return nil end
  local q = m.get_queue(c.queue)
  local open = m.open_callback(c.caller, q)
  if open then return open end
  local cb = m.new_callback(c.ended_at, c.joined_at, c.caller, q, c.tier, c.id, REASON_ABANDONED, nil, nil)
  c.callback_id = cb.id
  m.emit_callback(cb, { kind = EVENT_CALLBACK_CREATED, call_id = c.id, reason = cb.reason })
  return cb
end

function m.escalation(cb) return cb.deadline - m.policy().escalate_before end

-- next_timer is callback.NextTimer.
function m.next_timer(cb)
  if cb.state == CALLBACK_PENDING then return min(cb.due_at, cb.deadline) end
  if cb.state == CALLBACK_CLAIMED then return cb.claim_until end
  if cb.state ~= CALLBACK_DUE and cb.state ~= CALLBACK_OFFERED then return nil end
  local at = cb.deadline
  if not cb.escalated_at then at = min(at, m.escalation(cb)) end
  if cb.state == CALLBACK_DUE then at = min(at, m.closes(cb.due_at) or at) end
  return at
end

function m.arm_callback(cb)
  local at = m.next_timer(cb)
  local o = m.get_offer(cb.offer)
  if o then
    at = min(at or o.expires_at, o.expires_at)
    if o.ack_by then at = min(at, o.ack_by) end
  end
  m.set_timer('2', cb.seq, cb.id, at)
end

-- end_callback closes the record. claimed_by stays: it says who was last at it.
function m.end_callback(cb, state, reason) cb.state, cb.ended_at, cb.end_reason, cb.claim_until = state, m.now, reason, nil end

-- advance_once is callback.Advance: one change that is due because of time
-- alone, as the event that tells of it; nil when nothing is left to do.
function m.advance_once(cb)
  if cb.state == CALLBACK_CLAIMED then
    if m.now < cb.claim_until then return nil end
    if cb.served_meanwhile then
      m.end_callback(cb, CALLBACK_CANCELLED, REASON_ANSWERED)
      return { kind = EVENT_CALLBACK_CANCELLED, reason = REASON_ANSWERED }
    end
    cb.state, cb.due_at, cb.claimed_by, cb.claim_until = CALLBACK_DUE, min(m.now, cb.deadline), nil, nil
    return { kind = EVENT_CALLBACK_RETURNED, reason = REASON_CLAIM_LAPSED }
  end
  if not m.is_open_callback(cb) then return nil end
  if m.now >= cb.deadline then
    m.end_callback(cb, CALLBACK_MISSED, END_DEADLINE)
    return { kind = EVENT_CALLBACK_MISSED, reason = END_DEADLINE }
  end
  if cb.state ~= CALLBACK_OFFERED and m.now >= cb.due_at then
    local closed = m.closes(cb.due_at)
    if closed and m.now >= closed then
      cb.state, cb.due_at, cb.declined = CALLBACK_PENDING, min(m.next_inside(m.now), cb.deadline), nil
      return { kind = EVENT_CALLBACK_RESCHEDULED, reason = REASON_WINDOW_CLOSED }
    end
  end
  if cb.state == CALLBACK_PENDING and m.now >= cb.due_at then
    cb.state = CALLBACK_DUE
    return { kind = EVENT_CALLBACK_DUE }
  end
  if cb.state ~= CALLBACK_PENDING and not cb.escalated_at and m.now >= m.escalation(cb) then
    cb.escalated_at = m.now
    return { kind = EVENT_CALLBACK_ESCALATED }
  end
  return nil
end

-- advance does what time has brought to a callback and tries to serve it.
function m.advance(cb)
  local freed = m.pass(cb)
  m.place(cb)
  m.free(freed)
end

-- pass does what time has brought to a callback and lines it up anew. It returns
-- the agent whose claim has lapsed.
function m.pass(cb)
  local freed
  local o = m.get_offer(cb.offer)
  while true do
    m.line_out(cb)
    local claimant, was = cb.claimed_by, cb.state
    local event = m.advance_once(cb)
    if not event then break end
    if was == CALLBACK_CLAIMED then
      local a = m.claiming_agent(cb, claimant)
      if a then
        a.callback_id = nil
        m.become(a, AGENT_NOT_READY, REASON_CLAIM_LAPSED)
        event.agent, event.agent_state = a.id, a.state
        freed = a
      end
    end
    m.emit_callback(cb, event)
    m.note_end(cb)
  end
  if m.is_open_callback(cb) then
    if o then -- one that is offered keeps its offer, at the rank it has now
      local a = m.get_agent(o.agent)
      m.remove_live(o, a)
      o.slot, o.rank = m.slot(cb), m.rank_at(cb)
      m.add_live(o, a)
      m.touch_offer(o)
    end
    if cb.state == CALLBACK_DUE then m.line_up(cb) end
    m.arm_callback(cb)
  end
  return freed
end

-- claiming_agent returns the agent who is busy with a callback, nil when the
-- claimant is none.
function m.claiming_agent(cb, claimant)
  local a = m.get_agent(claimant)
  if a and a.callback_id == cb.id then return a end
  return nil
end

-- note_end counts a callback that has ended and keeps it for a while.
function m.note_end(cb)
  if m.is_open_callback(cb) then return end
  m.set_timer('2', cb.seq, cb.id, nil)
  local field = m.get_queue(cb.queue).no .. ' ' .. m.index_of(cb.caller)
  if call('HGET', key_promised, field) == cb.id then call('HDEL', key_promised, field) end
  local what = 'callbacks_reached'
  if cb.state == CALLBACK_FAILED then
    what = 'callbacks_failed'
  elseif cb.state == CALLBACK_MISSED then
    what = 'callbacks_missed'
  elseif cb.state == CALLBACK_CANCELLED then
    what = 'callbacks_cancelled'
  elseif cb.end_reason == END_REFUSED then
    what = 'callbacks_refused'
  end
  m.meta[what] = (m.meta[what] or 0) + 1
  call('ZADD', key_endedbacks, cb.ended_at, m.line_member(cb))
  m.touch_callback(cb)
end

-- claim is callback.Claim, when nothing stands against it.
function m.claim(cb, by)
  local lasts = m.now + m.policy().claim_lease
  if cb.state == CALLBACK_CLAIMED then
    cb.claim_until = max(cb.claim_until, lasts)
    return
  end
  cb.state, cb.claimed_by, cb.claim_until = CALLBACK_CLAIMED, by, lasts
  cb.claim_epoch = (cb.claim_epoch or 0) + 1
end

-- refuse_claim says why a callback cannot be claimed, if it cannot.
function m.refuse_claim(cb, by)
  if by == '' then m.refuse(ERR_CLAIMANT, '', 'a name is needed to claim') end
  if not m.is_open_callback(cb) then m.refuse_state('claim', cb) end
  if cb.state == CALLBACK_CLAIMED and cb.claimed_by ~= by then m.refuse(ERR_CLAIMED, '', 'by ' .. cb.claimed_by) end
  if m.now >= cb.deadline then m.refuse(ERR_DEADLINE, '', '') end
end

function m.refuse_state(what, cb)
  m.refuse(ERR_STATE, '', 'cannot ' .. what .. ' a callback that is ' .. CALLBACK_STATES[cb.state + 1])
end

-- accept_callback: the agent claims the callback he was offered.
function m.accept_callback(o)
  local cb, a = m.get_callback(o.callback_id), m.get_agent(o.agent)
  m.refuse_claim(cb, a.id)
  m.claim(cb, a.id)
  m.close_offer(o, ENDED_ACCEPTED)
  m.claimed(cb, a, o.epoch)
  return { the_callback = cb, the_agent = a }
end

-- claimed makes the claimant, if he is an agent at work, busy with the callback.
function m.claimed(cb, a, epoch)
  cb.declined = nil
  local event = { kind = EVENT_CALLBACK_CLAIMED, agent = cb.claimed_by, offer = epoch }
  if a then
    a.callback_id = cb.id
    m.become(a, AGENT_TALKING, nil)
    event.agent_state = a.state
  end
  m.arm_callback(cb)
  m.emit_callback(cb, event)
end

-- take_back rescinds a callback's offer and returns the agent who had it: give
-- him the next caller when all is done.
function m.take_back(cb)
  local o = m.get_offer(cb.offer)
  if not o then return nil end
  local a = m.get_agent(o.agent)
  m.end_offer(o, ENDED_CANCELLED)
  m.become(a, AGENT_READY, nil)
  m.emit_returned(o)
  return a
end

-- cancel_answered ends the promise to a caller who rang again and was answered,
-- in the queue that answered or the one the call came from.
function m.cancel_answered(c)
  if not c.caller then return end
  for i = 1, 2 do
    local name = i == 1 and c.queue or c.overflowed_from
    local q = name and m.get_queue(name)
    local cb = q and m.open_callback(c.caller, q)
    if cb then
      local freed = m.take_back(cb)
      m.line_out(cb)
      if cb.state == CALLBACK_CLAIMED then
        cb.served_meanwhile = true
        m.touch_callback(cb)
      elseif m.is_open_callback(cb) then
        m.end_callback(cb, CALLBACK_CANCELLED, REASON_ANSWERED)
        m.emit_callback(cb, { kind = EVENT_CALLBACK_CANCELLED, call_id = c.id, reason = REASON_ANSWERED })
        m.note_end(cb)
      else
        m.touch_callback(cb)
      end
      if freed then m.match(freed) end
    end
  end
end
