-- What an agent says to an offer: queue/offers.go.

-- find_offer finds an offer for whoever answers it: its agent, or the switch on
-- behalf of an agent whose phone it rings (agent ''). It may be over.
function m.find_offer(id, epoch)
  if id ~= '' then m.agent(id) end
  local o = m.get_offer(epoch)
  if not o and epoch > 0 and epoch <= (m.meta.epoch or 0) then
    m.refuse(ERR_OFFER_ENDED, 'offer_id', format('offer o-%.0f ended long ago', epoch))
  end
  if not o or id ~= '' and o.agent ~= id then
    m.refuse(ERR_OFFER_NOT_FOUND, 'offer_id', format('o-%.0f is no offer of agent "%s"', epoch, id))
  end
  return o
end

function m.refuse_ended(o) m.refuse(ERR_OFFER_ENDED, 'offer_id', format('offer o-%.0f is over: %s', o.epoch, o.ended)) end

function m.acknowledge(id, epoch)
  local o = m.find_offer(id, epoch)
  if o.ended == ENDED_ACCEPTED then return { duplicate = true } end
  if o.ended then m.refuse_ended(o) end
  if o.acked then return { the_offer = o, duplicate = true } end
  o.acked, o.ack_by = true, nil
  m.touch_offer(o)
  local event = { agent = o.agent, agent_state = m.get_agent(o.agent).state, offer = epoch, kind = EVENT_OFFER_ACKNOWLEDGED }
  local e = m.offered(o)
  if e.is_callback then
    m.arm_callback(e)
    m.emit_callback(e, event)
  else
    m.arm_call(e)
    m.emit_call(e, event)
  end
  return { the_offer = o }
end

-- repeated answers a repeated accept or decline with what is still on record.
function m.repeated(o)
  return {
    the_agent = m.get_agent(o.agent), the_call = m.get_call(o.call_id), the_callback = m.get_callback(o.callback_id), duplicate = true,
  }
end

function m.accept(id, epoch)
  local o = m.find_offer(id, epoch)
  if o.ended == ENDED_ACCEPTED then return m.repeated(o) end
  if o.ended then m.refuse_ended(o) end
  if o.callback_id then return m.accept_callback(o) end
  local c, a = m.get_call(o.call_id), m.get_agent(o.agent)
  m.leave(c, ENDED_ACCEPTED)
  c.state, c.answered_at, c.agent, c.offer = CALL_ANSWERED, m.now, a.id, epoch
  a.call_id = c.id
  m.become(a, AGENT_TALKING, nil)
  m.arm_call(c)
  m.count_end(c, CALL_ANSWERED)
  local wait = m.wait_of(c)
  m.emit_call(c, {
    kind = EVENT_CALL_ANSWERED, agent = a.id, agent_state = a.state, offer = epoch, wait = wait ~= 0 and wait or nil,
  })
  m.cancel_answered(c)
  return { the_call = c, the_agent = a }
end

function m.add_declined(e, id)
  if m.contains(e.declined, id) then return end
  e.declined = e.declined or {}
  e.declined[#e.declined + 1] = id
end

function m.decline(id, epoch, reason, not_ready)
  local o = m.find_offer(id, epoch)
  if o.ended == ENDED_DECLINED then return m.repeated(o) end
  if o.ended then m.refuse_ended(o) end
  local a = m.get_agent(o.agent)
  m.add_declined(m.offered(o), a.id)
  if not_ready then
    m.give_back(o, ENDED_DECLINED, reason)
  else
    a.idle_since = m.now -- offered agents are not among the idle
    m.give_back(o, ENDED_DECLINED, nil)
  end
  return { the_agent = a }
end

-- give_back ends an offer and makes its agent not ready for a reason, or leaves
-- him ready when there is none.
function m.give_back(o, how, not_ready)
  local a = m.get_agent(o.agent)
  local e = m.end_offer(o, how)
  if not_ready then m.become(a, AGENT_NOT_READY, not_ready) else m.become(a, AGENT_READY, nil) end
  m.emit_returned(o)
  if not_ready then
    m.emit({ kind = EVENT_AGENT_STATE_CHANGED, agent = a.id, agent_state = a.state, reason = a.reason })
  end
  m.settle(a)
  m.place(e)
end

-- complete ends the agent's call.
function m.complete(id, call_id)
  local a, c = m.agent(id), m.get_call(call_id)
  if not c or c.agent ~= id then
    m.refuse(ERR_CALL_NOT_FOUND, 'call_id', '"' .. call_id .. '" is no call of agent "' .. id .. '"')
  end
  if c.state == CALL_ANSWERED then
    m.free(m.finish(c, REASON_AGENT_COMPLETED))
    return { the_call = c, the_agent = a }
  end
  if c.state == CALL_COMPLETED then return { the_call = c, the_agent = a, duplicate = true } end
  m.refuse(ERR_WRONG_STATE, 'call_id',
    'call "' .. call_id .. '" is ' .. CALL_STATES[c.state + 1] .. '; only an answered call can be completed')
end
