-- What people say to callbacks: queue/callbackcmds.go.

function m.callback(id)
  local cb = m.get_callback(id)
  if not cb then m.refuse(ERR_CALLBACK_NOT_FOUND, 'callback_id', '"' .. id .. '" is no callback this site knows') end
  return cb
end

-- check_due is callback.CheckDue; the daemon finds the words.
function m.check_due(due, deadline)
  if due <= m.now or due >= deadline then m.refuse(ERR_DUE, '', '', m.now, deadline) end
  if m.next_inside(due) ~= due then m.refuse(ERR_WINDOW, '', '', m.now, deadline) end
end

function m.create_callback(caller, name, tier, due, note)
  if caller == '' then m.refuse(ERR_INVALID, 'caller', 'must be a number that can be rung') end
  local q = m.queue_named(name)
  local open = m.open_callback(caller, q)
  if open then
    m.refuse(ERR_CALLBACK_EXISTS, 'caller', 'callback ' .. open.id .. ' of this number in queue "' .. name .. '" is open')
  end
  if due then m.check_due(due, m.now + m.policy().deadline) end
  local cb = m.new_callback(m.now, m.now, caller, q, tier, nil, REASON_MANUAL, due, note)
  m.emit_callback(cb, { kind = EVENT_CALLBACK_CREATED, reason = cb.reason })
  return { the_callback = cb }
end

-- claim_callback takes a callback by hand, also one that is not due or is being
-- offered to somebody else.
function m.claim_callback(id, claimant)
  local cb = m.callback(id)
  local o = m.get_offer(cb.offer)
  local a = m.get_agent(claimant)
  if a and a.state == AGENT_SIGNED_OUT then a = nil end
  local his = o and a and o.agent == a.id
  if a and a.callback_id ~= id and (a.state == AGENT_TALKING or a.state == AGENT_OFFERED and not his) then
    m.refuse(ERR_WRONG_STATE, 'claimant', 'agent "' .. a.id .. '" is ' .. AGENT_STATES[a.state + 1])
  end
  if his then return m.accept_callback(o) end
  m.refuse_claim(cb, claimant)
  local renewal = cb.state == CALLBACK_CLAIMED
  m.line_out(cb)
  m.claim(cb, claimant)
  if renewal then
    m.arm_callback(cb)
    m.touch_callback(cb)
    return { the_callback = cb, duplicate = true }
  end
  local other
  if o then
    other = m.get_agent(o.agent)
    m.close_offer(o, ENDED_CANCELLED)
    m.become(other, AGENT_READY, nil)
    m.emit_returned(o)
  end
  if a and a.state == AGENT_NOT_READY then a.next_pause, a.next_reason = true, a.reason end
  m.claimed(cb, a, nil)
  if other then m.match(other) end
  return { the_callback = cb }
end

function m.report_callback(id, claimant, result, note)
  local cb = m.callback(id)
  local p = m.policy()
  if result < RESULT_REACHED or result > RESULT_REFUSED then m.refuse(ERR_RESULT, '', format('%d', result)) end
  if cb.state ~= CALLBACK_CLAIMED then m.refuse_state('report on', cb) end
  if cb.claimed_by ~= claimant then m.refuse(ERR_NOT_CLAIMANT, '', cb.claimed_by .. ' holds the claim') end
  cb.attempts = (cb.attempts or 0) + 1
  cb.last_result, cb.last_attempt_at = result, m.now
  if result == RESULT_REACHED then
    m.end_callback(cb, CALLBACK_DONE, END_REACHED)
  elseif result == RESULT_REFUSED then
    m.end_callback(cb, CALLBACK_DONE, END_REFUSED)
  elseif cb.served_meanwhile then
    m.end_callback(cb, CALLBACK_CANCELLED, REASON_ANSWERED)
  elseif cb.attempts >= p.max_attempts then
    m.end_callback(cb, CALLBACK_FAILED, END_ATTEMPTS)
  else
    local delay = p.retry_delay
    for _ = 2, cb.attempts do
      if delay >= MAX_DELAY then break end
      delay = delay * 2
    end
    local due = m.before_deadline(m.now, m.next_inside(m.now + min(delay, MAX_DELAY)), cb.deadline)
    cb.state, cb.due_at, cb.claimed_by, cb.claim_until = CALLBACK_PENDING, due or cb.deadline, nil, nil
  end
  if note ~= '' then cb.note = note end
  m.meta.callbacks_attempts = (m.meta.callbacks_attempts or 0) + 1
  local event = { kind = EVENT_CALLBACK_REPORTED, agent = claimant, reason = RESULTS[result + 1] }
  local a = m.claiming_agent(cb, claimant)
  if a then
    a.callback_id = nil
    m.end_work(a, m.get_queue(cb.queue))
    event.agent_state = a.state
  end
  m.emit_callback(cb, event)
  m.note_end(cb)
  if m.is_open_callback(cb) then m.arm_callback(cb) end
  m.free(a)
  return { the_callback = cb }
end

function m.reschedule_callback(id, due)
  local cb = m.callback(id)
  if cb.state == CALLBACK_CLAIMED then
    m.refuse(ERR_CLAIMED, '', 'by ' .. cb.claimed_by .. ': cannot reschedule before the report')
  end
  if cb.state ~= CALLBACK_PENDING and cb.state ~= CALLBACK_DUE then m.refuse_state('reschedule', cb) end
  if m.now >= cb.deadline then m.refuse(ERR_DEADLINE, '', '') end
  m.check_due(due, cb.deadline)
  m.line_out(cb)
  cb.state, cb.due_at, cb.declined = CALLBACK_PENDING, due, nil
  m.arm_callback(cb)
  m.emit_callback(cb, { kind = EVENT_CALLBACK_RESCHEDULED })
  return { the_callback = cb }
end

function m.cancel_callback(id, reason)
  local cb = m.callback(id)
  if not m.is_open_callback(cb) then m.refuse_state('cancel', cb) end
  local freed = m.take_back(cb)
  m.line_out(cb)
  local event = { kind = EVENT_CALLBACK_CANCELLED, reason = reason }
  local a = m.claiming_agent(cb, cb.claimed_by)
  m.end_callback(cb, CALLBACK_CANCELLED, reason)
  if a then
    a.callback_id = nil
    m.after_work(a)
    event.agent, event.agent_state = a.id, a.state
  end
  m.emit_callback(cb, event)
  m.note_end(cb)
  m.free(a)
  if freed then m.match(freed) end
  return { the_callback = cb }
end
