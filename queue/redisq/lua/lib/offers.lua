-- What an agent says to an offer: queue/offers.go.

-- find_offer finds an offer for whoever answers it: its agent, or the switch on
-- behalf of an agent whose phone it rings (agent ''). It may be over.
local function find_offer(id, epoch)
  if id ~= '' then agent(id) end
  local o = get_offer(epoch)
  if not o and epoch > 0 and epoch <= (meta.epoch or 0) then
    refuse(ERR_OFFER_ENDED, 'offer_id', format('offer o-%.0f ended long ago', epoch))
  end
  if not o or id ~= '' and o.agent ~= id then
    refuse(ERR_OFFER_NOT_FOUND, 'offer_id', format('o-%.0f is no offer of agent "%s"', epoch, id))
  end
  return o
end

local function refuse_ended(o) refuse(ERR_OFFER_ENDED, 'offer_id', format('offer o-%.0f is over: %s', o.epoch, o.ended)) end

local function acknowledge(id, epoch)
  local o = find_offer(id, epoch)
  if o.ended == ENDED_ACCEPTED then return { duplicate = true } end
  if o.ended then refuse_ended(o) end
  if o.acked then return { the_offer = o, duplicate = true } end
  o.acked, o.ack_by = true, nil
  touch_offer(o)
  local event = { agent = o.agent, agent_state = get_agent(o.agent).state, offer = epoch, kind = EVENT_OFFER_ACKNOWLEDGED }
  local e = offered(o)
  if e.is_callback then
    arm_callback(e)
    emit_callback(e, event)
  else
    arm_call(e)
    emit_call(e, event)
  end
  return { the_offer = o }
end

-- repeated answers a repeated accept or decline with what is still on record.
local function repeated(o)
  return {
    the_agent = get_agent(o.agent), the_call = get_call(o.call_id), the_callback = get_callback(o.callback_id), duplicate = true,
  }
end

local function accept(id, epoch)
  local o = find_offer(id, epoch)
  if o.ended == ENDED_ACCEPTED then return repeated(o) end
  if o.ended then refuse_ended(o) end
  if o.callback_id then return accept_callback(o) end
  local c, a = get_call(o.call_id), get_agent(o.agent)
  leave(c, ENDED_ACCEPTED)
  c.state, c.answered_at, c.agent, c.offer = CALL_ANSWERED, now, a.id, epoch
  a.call_id = c.id
  become(a, AGENT_TALKING, nil)
  arm_call(c)
  count_end(c, CALL_ANSWERED)
  local wait = wait_of(c)
  emit_call(c, {
    kind = EVENT_CALL_ANSWERED, agent = a.id, agent_state = a.state, offer = epoch, wait = wait ~= 0 and wait or nil,
  })
  cancel_answered(c)
  return { the_call = c, the_agent = a }
end

local function add_declined(e, id)
  if contains(e.declined, id) then return end
  e.declined = e.declined or {}
  e.declined[#e.declined + 1] = id
end

local function decline(id, epoch, reason, not_ready)
  local o = find_offer(id, epoch)
  if o.ended == ENDED_DECLINED then return repeated(o) end
  if o.ended then refuse_ended(o) end
  local a = get_agent(o.agent)
  add_declined(offered(o), a.id)
  if not_ready then
    give_back(o, ENDED_DECLINED, reason)
  else
    a.idle_since = now -- offered agents are not among the idle
    give_back(o, ENDED_DECLINED, nil)
  end
  return { the_agent = a }
end

-- give_back ends an offer and makes its agent not ready for a reason, or leaves
-- him ready when there is none.
local function give_back(o, how, not_ready)
  local a = get_agent(o.agent)
  local e = end_offer(o, how)
  if not_ready then become(a, AGENT_NOT_READY, not_ready) else become(a, AGENT_READY, nil) end
  emit_returned(o)
  if not_ready then
    emit({ kind = EVENT_AGENT_STATE_CHANGED, agent = a.id, agent_state = a.state, reason = a.reason })
  end
  settle(a)
  place(e)
end

-- complete ends the agent's call.
local function complete(id, call_id)
  local a, c = agent(id), get_call(call_id)
  if not c or c.agent ~= id then
    refuse(ERR_CALL_NOT_FOUND, 'call_id', '"' .. call_id .. '" is no call of agent "' .. id .. '"')
  end
  if c.state == CALL_ANSWERED then
    free(finish(c, REASON_AGENT_COMPLETED))
    return { the_call = c, the_agent = a }
  end
  if c.state == CALL_COMPLETED then return { the_call = c, the_agent = a, duplicate = true } end
  refuse(ERR_WRONG_STATE, 'call_id',
    'call "' .. call_id .. '" is ' .. CALL_STATES[c.state + 1] .. '; only an answered call can be completed')
end
