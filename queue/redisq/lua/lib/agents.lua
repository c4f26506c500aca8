-- Agents: queue/agentstate.go and queue/agents.go.

function m.working(state)
  return state == AGENT_READY or state == AGENT_OFFERED or state == AGENT_TALKING or state == AGENT_WRAP_UP
end

-- count_working adds n to the working agents of every queue a serves.
function m.count_working(a, n)
  for i = 1, #a.services do
    local q = m.get_queue(a.services[i][1])
    q.s.working = (q.s.working or 0) + n
    if a.ring then q.s.working_ring = (q.s.working_ring or 0) + n end
    m.touch_queue(q)
  end
end

-- gone reports whether an agent has left, by signing out or without a word.
function m.gone(a) return a.state == AGENT_SIGNED_OUT or a.state == AGENT_NOT_READY and not a.presence end

function m.arm_agent(a)
  local at = a.lease_until
  if a.state == AGENT_WRAP_UP and (not at or a.wrap_until < at) then at = a.wrap_until end
  if not at and m.gone(a) then at = (a.since or 0) + m.site.keep_agents_age end
  m.set_timer('1', a.ord, a.id, at)
end

-- become puts an agent into a state and keeps the counts of working agents true.
-- A ready agent is not among the idle yet: the caller goes on to match or settle,
-- which gives him the next caller or puts him there.
function m.become(a, state, reason)
  m.set_idle(a, false)
  local was, is = m.working(a.state), m.working(state)
  if was ~= is then m.count_working(a, is and 1 or -1) end
  a.state, a.reason, a.since = state, reason, m.now
  if state == AGENT_READY and not a.presence and (a.lease_until or 0) < m.now + m.site.sign_in_grace then
    a.lease_until = m.now + m.site.sign_in_grace
  end
  if not a.presence and (state == AGENT_OFFERED or state == AGENT_TALKING) then
    a.lease_until = nil -- the offer's or the call's own end is watched instead
  end
  if state ~= AGENT_WRAP_UP then a.wrap_until = nil end
  m.touch_agent(a)
  m.arm_agent(a)
end

-- set_presence says how offers reach the agent from now on. As after become,
-- the caller goes on to match.
function m.set_presence(a, presence, lease)
  m.set_idle(a, false)
  a.presence, a.lease_until = presence, lease
  m.touch_agent(a)
  m.arm_agent(a)
end

-- make_ready ends a pause.
function m.make_ready(a)
  a.idle_since = m.now
  m.become(a, AGENT_READY, nil)
  m.emit({ kind = EVENT_AGENT_STATE_CHANGED, agent = a.id, agent_state = a.state })
end

-- after_work makes an agent who has done with a call ready, or not ready when
-- that was asked for meanwhile.
function m.after_work(a)
  if a.next_pause then
    local reason = a.next_reason
    a.next_pause, a.next_reason = nil, nil
    m.become(a, AGENT_NOT_READY, reason)
    return
  end
  a.idle_since = m.now
  m.become(a, AGENT_READY, nil)
end

-- end_work puts an agent who has done with a call or callback into wrap-up, or
-- past it, and returns how long the wrap-up is.
function m.end_work(a, q)
  if a.state == AGENT_SIGNED_OUT then return 0 end
  local wrap = a.wrap_up or 0
  if wrap < 0 then wrap = q.wrap_up end
  if wrap > 0 then
    a.wrap_until = m.now + wrap
    m.become(a, AGENT_WRAP_UP, nil)
  else
    m.after_work(a)
  end
  return wrap
end

-- lose is for an agent whose softphone went away: what was offered goes back. A
-- call at hand is left alone; the switch says when it ends.
function m.lose(a)
  m.set_presence(a, nil, nil)
  a.owner, a.token = nil, nil
  if a.state ~= AGENT_OFFERED and a.state ~= AGENT_READY then return end
  local o = m.get_offer(a.offer)
  local e
  if o then e = m.end_offer(o, ENDED_AGENT_LOST) end
  m.become(a, AGENT_NOT_READY, REASON_LOST)
  a.lease_until = nil
  m.arm_agent(a)
  if o then m.emit_returned(o) end
  m.emit({ kind = EVENT_AGENT_STATE_CHANGED, agent = a.id, agent_state = a.state, reason = a.reason })
  m.settle(a)
  if o then m.place(e) end
end

-- settle draws the consequences of an agent's new state: an idle one is given
-- the next caller; one who no longer works frees the calls held for him and
-- those that only he had not declined.
function m.settle(a)
  if m.working(a.state) then
    m.match(a)
    return
  end
  m.release_held(a, true)
  for i = 1, #a.services do m.reconsider(m.get_queue(a.services[i][1])) end
end

-- release_held gives the calls held for an agent to everyone: all of them, or
-- those of queues that he does not serve.
function m.release_held(a, all)
  local held = m.held_by(a)
  for i = 1, #held do
    if held[i].held and (all or not m.serves(a, held[i].queue)) then m.release(held[i]) end
  end
end

-- release ends the wait of a held call for its preferred agent.
function m.release(c)
  m.line_out(c)
  c.held_until = nil
  m.line_up(c)
  m.arm_call(c)
  m.emit_call(c, { kind = EVENT_CALL_RELEASED_TO_ALL, agent = c.preferred })
  m.place(c)
end

-- reconsider tries the waiting calls that somebody declined again: who else can
-- serve them has changed.
function m.reconsider(q)
  local list = call('ZRANGEBYSCORE', key_declined, m.base(q.no, SLOT_VIP), format('(%d', m.base(q.no, SLOTS)))
  local entries = {}
  for i = 1, #list do entries[i] = m.entry_of(list[i]) or false end
  for i = 1, #list do
    if entries[i] then m.place(entries[i]) end
  end
end

function m.agent(id)
  local a = m.get_agent(id)
  if not a then m.refuse(ERR_AGENT_NOT_FOUND, 'agent_id', '"' .. (id or '') .. '" has not signed in') end
  return a
end

-- signed_in returns an agent who is at work.
function m.signed_in(id)
  local a = m.agent(id)
  if a.state == AGENT_SIGNED_OUT then
    m.refuse(ERR_WRONG_STATE, 'agent_id', 'agent "' .. id .. '" is signed out; sign in first')
  end
  return a
end

-- is_made_by_engine reports whether a not-ready reason is one the engine gives:
-- a softphone that comes back takes it away.
function m.is_made_by_engine(reason)
  return reason == REASON_LOST or reason == REASON_NO_ANSWER or reason == REASON_NOT_ACKNOWLEDGED or
    reason == REASON_BUSY or reason == REASON_UNREACHABLE
end

function m.same_services(x, y)
  if #x ~= #y then return false end
  for i = 1, #x do
    if x[i][1] ~= y[i][1] or x[i][2] ~= y[i][2] then return false end
  end
  return true
end

-- change_services gives an agent his queues, endpoint and wrap-up and returns
-- the queues in which fewer can serve a call now.
function m.change_services(a, cmd, services)
  m.set_idle(a, false)
  local works = m.working(a.state)
  if works then m.count_working(a, -1) end
  local o = m.get_offer(a.offer)
  if o then m.remove_live(o, a) end
  local was, ringing = a.services, a.ring
  a.endpoint, a.ring, a.wrap_up, a.services = cmd.endpoint, cmd.ring, cmd.wrap_up, services
  if works then m.count_working(a, 1) end
  if o then m.add_live(o, a) end
  if a.ring then
    a.presence, a.lease_until = PRESENT_RING, nil
  elseif a.presence == PRESENT_RING then
    a.presence = nil
    if a.state == AGENT_READY then a.lease_until = m.now + m.site.sign_in_grace end
  end
  m.set_presence(a, a.presence, a.lease_until)
  local affected = {}
  for i = 1, #was do
    if not m.serves(a, was[i][1]) or a.ring and not ringing then affected[#affected + 1] = was[i][1] end
  end
  return affected
end

-- check_services returns the queues of a sign-in with their numbers. The daemon
-- has sorted them by level, then name.
function m.check_services(list)
  local seen = {}
  for i = 1, #list do
    local name, level = list[i][1], list[i][2]
    if level < 1 then m.refuse(ERR_INVALID, 'queues.level', format('%d must be at least 1', level)) end
    local q = m.queue_named(name)
    if seen[name] then m.refuse(ERR_INVALID, 'queues.queue', '"' .. name .. '" stands there twice') end
    seen[name] = true
    list[i][3] = q.no
  end
  return list
end

function m.sign_in(id, cmd)
  if id == '' then m.refuse(ERR_INVALID, 'agent_id', 'must not be empty') end
  if not cmd.services or not cmd.services[1] then m.refuse(ERR_INVALID, 'queues', 'at least one queue is needed') end
  if cmd.ring and not cmd.endpoint then
    m.refuse(ERR_INVALID, 'endpoint', "must be given when the switch rings the agent's phone")
  end
  local services = m.check_services(cmd.services)
  table.sort(services, function(x, y)
    if x[2] ~= y[2] then return x[2] < y[2] end
    return x[1] < y[1]
  end)
  local a = m.get_agent(id)
  local fresh = not a or a.state == AGENT_SIGNED_OUT
  if not a then
    m.meta.ord = (m.meta.ord or 0) + 1
    a = m.link_agent({ ord = m.meta.ord, state = AGENT_SIGNED_OUT, services = {} }, id)
  end
  local changed = a.endpoint ~= cmd.endpoint or a.ring ~= cmd.ring or a.wrap_up ~= cmd.wrap_up or
    not m.same_services(a.services, services)
  local affected = m.change_services(a, cmd, services)
  if fresh then
    a.idle_since, a.next_pause, a.next_reason = m.now, nil, nil
    m.become(a, AGENT_READY, nil)
    m.emit({ kind = EVENT_AGENT_SIGNED_IN, agent = id, agent_state = a.state })
  else
    if changed then m.emit({ kind = EVENT_AGENT_QUEUES_CHANGED, agent = id, agent_state = a.state }) end
    if a.state == AGENT_NOT_READY and m.is_made_by_engine(a.reason) then m.make_ready(a) end
  end
  m.match(a)
  m.upgrade(a)
  m.release_held(a, false)
  for i = 1, #affected do m.reconsider(m.get_queue(affected[i])) end
  return { the_agent = a }
end

function m.sign_out(id, force)
  local a = m.agent(id)
  if a.state == AGENT_SIGNED_OUT then return { the_agent = a, duplicate = true } end
  if a.state == AGENT_TALKING and not force then
    m.refuse(ERR_WRONG_STATE, 'agent_id', 'agent "' .. id .. '" is talking; complete the call first, or force it')
  end
  local o = m.get_offer(a.offer)
  local e
  if o then e = m.end_offer(o, ENDED_SIGNED_OUT) end
  a.call_id, a.callback_id, a.next_pause, a.next_reason = nil, nil, nil, nil
  m.set_presence(a, nil, nil)
  a.owner, a.token = nil, nil
  m.become(a, AGENT_SIGNED_OUT, nil)
  if o then m.emit_returned(o) end
  m.emit({ kind = EVENT_AGENT_SIGNED_OUT, agent = id, agent_state = a.state })
  m.settle(a)
  if o then m.place(e) end
  return { the_agent = a }
end

function m.want_ready(a)
  if a.state == AGENT_TALKING then
    if a.next_pause then
      a.next_pause, a.next_reason = nil, nil
      m.touch_agent(a)
      m.emit({ kind = EVENT_AGENT_STATE_CHANGED, agent = a.id, agent_state = a.state })
    end
  elseif a.state == AGENT_WRAP_UP or a.state == AGENT_NOT_READY then
    a.next_pause, a.next_reason = nil, nil
    m.make_ready(a)
    m.match(a)
  end
end

function m.want_pause(a, reason)
  local event = { kind = EVENT_AGENT_STATE_CHANGED, agent = a.id, reason = reason }
  if a.state == AGENT_TALKING then
    if a.next_pause and a.next_reason == reason then return end
    a.next_pause, a.next_reason = true, reason
    m.touch_agent(a)
    event.agent_state = a.state
    m.emit(event)
    return
  end
  if a.state == AGENT_NOT_READY and a.reason == reason then return end
  local o = m.get_offer(a.offer)
  local e
  if o then e = m.end_offer(o, ENDED_NOT_READY) end
  a.next_pause, a.next_reason = nil, nil
  m.become(a, AGENT_NOT_READY, reason)
  if o then m.emit_returned(o) end
  event.agent_state = a.state
  m.emit(event)
  m.settle(a)
  if o then m.place(e) end
end

-- renew extends a daemon's lease.
function m.renew(id)
  local o = m.owners[id]
  if o == nil then o = m.load(key_daemons, 'o:' .. id) end
  if not o then
    m.meta.ord = (m.meta.ord or 0) + 1
    o = { ord = m.meta.ord }
  end
  o.raw, o.lease_until = nil, m.now + m.site.owner_lease
  m.owners[id] = o
  call('HSET', key_daemons, 'o:' .. id, pack(o))
  m.set_timer('3', o.ord, id, o.lease_until)
end

function m.attach(id, owner, token, presence, wait)
  local a = m.signed_in(id)
  if owner == '' or token == '' then m.refuse(ERR_INVALID, 'token', 'owner and token must be given') end
  local lease = m.now + wait + m.site.poll_grace
  if presence == PRESENT_STREAM then
    m.renew(owner)
    lease = nil
  elseif presence ~= PRESENT_POLL then
    m.refuse(ERR_INVALID, 'presence', 'must be a poll or a stream')
  end
  a.owner, a.token = owner, token
  if a.presence ~= PRESENT_RING then -- the phone stays the way in; the client only watches
    if a.offer and presence == PRESENT_POLL then
      m.set_presence(a, nil, nil) -- the answer carries the live offer, which uses the poll up
    else
      m.set_presence(a, presence, lease)
    end
  end
  if a.state == AGENT_NOT_READY and a.reason == REASON_LOST then m.make_ready(a) end
  m.touch_agent(a)
  m.match(a)
  return { the_agent = a, the_offer = m.get_offer(a.offer) }
end

function m.detach(id, token, undelivered)
  local a = m.agent(id)
  if token == '' or a.token ~= token then return { the_agent = a, duplicate = true } end
  a.owner, a.token = nil, nil
  m.touch_agent(a)
  if a.presence and a.presence ~= PRESENT_RING then
    m.set_presence(a, nil, a.state == AGENT_READY and m.now + m.site.sign_in_grace or nil)
  end
  local o = m.get_offer(a.offer)
  if o and undelivered and a.presence ~= PRESENT_RING then m.give_back(o, ENDED_UNDELIVERED, nil) end
  return { the_agent = a, the_offer = m.get_offer(a.offer) }
end
