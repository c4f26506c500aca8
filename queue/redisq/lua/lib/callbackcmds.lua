-- What people say to callbacks: queue/callbackcmds.go.

local function callback(id)
  local cb = get_callback(id)
  if not cb then refuse(ERR_CALLBACK_NOT_FOUND, 'callback_id', '"' .. id .. '" is no callback this site knows') end
  return cb
end

-- check_due is callback.CheckDue; the daemon finds the words.
local function check_due(due, deadline)
  if due <= now or due >= deadline then refuse(ERR_DUE, '', '', now, deadline) end
  if next_inside(due) ~= due then refuse(ERR_WINDOW, '', '', now, deadline) end
end

local function create_callback(caller, name, tier, due, note)
  if caller == '' then refuse(ERR_INVALID, 'caller', 'must be a number that can be rung') end
  local q = queue_named(name)
  local open = open_callback(caller, q)
  if open then
    refuse(ERR_CALLBACK_EXISTS, 'caller', 'callback ' .. open.id .. ' of this number in queue "' .. name .. '" is open')
  end
  if due then check_due(due, now + site.callback.deadline) end
  local cb = new_callback(now, now, caller, q, tier, nil, REASON_MANUAL, due, note)
  emit_callback(cb, { kind = EVENT_CALLBACK_CREATED, reason = cb.reason })
  return { the_callback = cb }
end

-- claim_callback takes a callback by hand, also one that is not due or is being
-- offered to somebody else.
local function claim_callback(id, claimant)
  local cb = callback(id)
  local o = get_offer(cb.offer)
  local a = get_agent(claimant)
  if a and a.state == AGENT_SIGNED_OUT then a = nil end
  local his = o and a and o.agent == a.id
  if a and a.callback_id ~= id and (a.state == AGENT_TALKING or a.state == AGENT_OFFERED and not his) then
    refuse(ERR_WRONG_STATE, 'claimant', 'agent "' .. a.id .. '" is ' .. AGENT_STATES[a.state + 1])
  end
  if his then return accept_callback(o) end
  refuse_claim(cb, claimant)
  local renewal = cb.state == CALLBACK_CLAIMED
  line_out(cb)
  claim(cb, claimant)
  if renewal then
    arm_callback(cb)
    touch_callback(cb)
    return { the_callback = cb, duplicate = true }
  end
  local other
  if o then
    other = get_agent(o.agent)
    close_offer(o, ENDED_CANCELLED)
    become(other, AGENT_READY, nil)
    emit_returned(o)
  end
  if a and a.state == AGENT_NOT_READY then a.next_pause, a.next_reason = true, a.reason end
  claimed(cb, a, nil)
  if other then match(other) end
  return { the_callback = cb }
end

local function report_callback(id, claimant, result, note)
  local cb = callback(id)
  local p = site.callback
  if result < RESULT_REACHED or result > RESULT_REFUSED then refuse(ERR_RESULT, '', format('%d', result)) end
  if cb.state ~= CALLBACK_CLAIMED then refuse_state('report on', cb) end
  if cb.claimed_by ~= claimant then refuse(ERR_NOT_CLAIMANT, '', cb.claimed_by .. ' holds the claim') end
  cb.attempts = (cb.attempts or 0) + 1
  cb.last_result, cb.last_attempt_at = result, now
  if result == RESULT_REACHED then
    end_callback(cb, CALLBACK_DONE, END_REACHED)
  elseif result == RESULT_REFUSED then
    end_callback(cb, CALLBACK_DONE, END_REFUSED)
  elseif cb.served_meanwhile then
    end_callback(cb, CALLBACK_CANCELLED, REASON_ANSWERED)
  elseif cb.attempts >= p.max_attempts then
    end_callback(cb, CALLBACK_FAILED, END_ATTEMPTS)
  else
    local delay = p.retry_delay
    for _ = 2, cb.attempts do
      if delay >= MAX_DELAY then break end
      delay = delay * 2
    end
    local due = before_deadline(now, next_inside(now + min(delay, MAX_DELAY)), cb.deadline)
    cb.state, cb.due_at, cb.claimed_by, cb.claim_until = CALLBACK_PENDING, due or cb.deadline, nil, nil
  end
  if note ~= '' then cb.note = note end
  meta.callbacks_attempts = (meta.callbacks_attempts or 0) + 1
  local event = { kind = EVENT_CALLBACK_REPORTED, agent = claimant, reason = RESULTS[result + 1] }
  local a = claiming_agent(cb, claimant)
  if a then
    a.callback_id = nil
    end_work(a, get_queue(cb.queue))
    event.agent_state = a.state
  end
  emit_callback(cb, event)
  note_end(cb)
  if is_open_callback(cb) then arm_callback(cb) end
  free(a)
  return { the_callback = cb }
end

local function reschedule_callback(id, due)
  local cb = callback(id)
  if cb.state == CALLBACK_CLAIMED then
    refuse(ERR_CLAIMED, '', 'by ' .. cb.claimed_by .. ': cannot reschedule before the report')
  end
  if cb.state ~= CALLBACK_PENDING and cb.state ~= CALLBACK_DUE then refuse_state('reschedule', cb) end
  if now >= cb.deadline then refuse(ERR_DEADLINE, '', '') end
  check_due(due, cb.deadline)
  line_out(cb)
  cb.state, cb.due_at, cb.declined = CALLBACK_PENDING, due, nil
  arm_callback(cb)
  emit_callback(cb, { kind = EVENT_CALLBACK_RESCHEDULED })
  return { the_callback = cb }
end

local function cancel_callback(id, reason)
  local cb = callback(id)
  if not is_open_callback(cb) then refuse_state('cancel', cb) end
  local freed = take_back(cb)
  line_out(cb)
  local event = { kind = EVENT_CALLBACK_CANCELLED, reason = reason }
  local a = claiming_agent(cb, cb.claimed_by)
  end_callback(cb, CALLBACK_CANCELLED, reason)
  if a then
    a.callback_id = nil
    after_work(a)
    event.agent, event.agent_state = a.id, a.state
  end
  emit_callback(cb, event)
  note_end(cb)
  free(a)
  if freed then match(freed) end
  return { the_callback = cb }
end
