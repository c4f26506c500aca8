-- Supervisors, switches and daemons: queue/supervise.go.

function m.waiting_call(id)
  local c = m.get_call(id)
  if not c then m.refuse(ERR_CALL_NOT_FOUND, 'call_id', '"' .. id .. '" is no call this site knows') end
  if c.state ~= CALL_WAITING and c.state ~= CALL_OFFERED then
    m.refuse(ERR_WRONG_STATE, 'call_id',
      'call "' .. id .. '" is ' .. CALL_STATES[c.state + 1] .. '; only a waiting or offered call can be changed')
  end
  return c
end

-- move_call puts a waiting or offered call into another queue.
function m.move_call(id, name, by)
  local c = m.waiting_call(id)
  local to = m.queue_named(name)
  if name == c.queue then return m.call_result(c) end
  local o = m.get_offer(c.offer)
  local a
  if o then
    a = m.get_agent(o.agent)
    m.end_offer(o, ENDED_MOVED)
    m.become(a, AGENT_READY, nil)
    m.emit_returned(o)
  end
  m.move_to(c, to, REASON_MOVED, by)
  if a then m.match(a) end -- whoever is first for him, the moved call included
  m.place(c)
  return m.call_result(c)
end

-- rerank gives waiting calls their tier: one call, or all of a number.
function m.rerank(id, caller, tier, only_provisional, unattested, attested_vip)
  if tier < TIER_VIP or tier > TIER_BLACKLIST then
    m.refuse(ERR_INVALID, 'tier', 'must be vip, mid, ordinary or blacklist')
  end
  if id == '' then
    local list, n = {}, 0
    for _, one in ipairs(m.calls_of(caller)) do list[#list + 1] = m.get_call(one) end
    table.sort(list, function(x, y) return x.seq < y.seq end)
    for _, c in ipairs(list) do
      if (c.state == CALL_WAITING or c.state == CALL_OFFERED) and m.set_tier(c, tier, only_provisional, unattested, attested_vip) then
        n = n + 1
      end
    end
    return { reranked = n }
  end
  local c = m.get_call(id)
  if only_provisional and (not c or not c.provisional or c.state ~= CALL_WAITING and c.state ~= CALL_OFFERED) then
    return m.tier_too_late(c, tier, unattested, attested_vip)
  end
  c = m.waiting_call(id)
  local n = m.set_tier(c, tier, only_provisional, unattested, attested_vip) and 1 or 0
  local res = m.call_result(c)
  res.reranked = n
  return res
end

-- tier_too_late settles what a late lookup still changes when the call waits no
-- longer: a caller who hung up meanwhile gets the callback that the tier earns.
function m.tier_too_late(c, tier, unattested, attested_vip)
  if not c or not c.provisional or c.state ~= CALL_ABANDONED or c.callback_id then return {} end
  local counted = c.tier
  c.tier, c.provisional = m.served_to(c, tier, unattested, attested_vip), nil
  local cb = m.earn_callback(c)
  c.tier = counted -- the call was counted under the tier it was served by
  m.touch_call(c)
  return { the_call = c, the_callback = cb }
end

-- served_to returns the tier for a call, by how far its number is vouched for, and
-- whether it is a VIP's that is not.
function m.served_to(c, tier, unattested, attested_vip)
  if not attested_vip then return tier, unattested end
  if tier == TIER_VIP and c.attestation ~= ATTESTATION_FULL then return TIER_ORDINARY, true end
  return tier, false
end

-- set_tier changes a waiting call's tier and reports whether anything changed.
function m.set_tier(c, tier, only_provisional, unattested, attested_vip)
  tier, unattested = m.served_to(c, tier, unattested, attested_vip)
  if only_provisional and not c.provisional or
    not c.provisional and c.tier == tier and (c.unattested or false) == unattested then
    return false
  end
  local from, lined, held = c.tier, c.lined, c.held
  m.line_out(c)
  m.recount(c, m.get_queue(c.queue), tier)
  c.provisional, c.unattested = nil, unattested or nil
  local o = m.get_offer(c.offer)
  if lined then
    m.line_up(c)
  elseif held then
    m.hold(c, m.get_agent(c.preferred))
  elseif o then
    local a = m.get_agent(o.agent)
    m.remove_live(o, a)
    o.slot = m.slot(c)
    m.add_live(o, a)
    m.touch_offer(o)
  end
  m.emit_call(c, { kind = EVENT_CALL_RERANKED, from_tier = from })
  m.place(c)
  o = m.get_offer(c.offer)
  if o then m.upgrade(m.get_agent(o.agent)) end
  return true
end

-- reconcile_one brings one call that the switch still holds onto record.
function m.reconcile_one(switch, item)
  local id = item.id or ''
  if id == '' then return 'failed', ERR_INVALID, 'call_id', 'must not be empty' end
  local c = m.known_call(id)
  if c and not c.tombstone then
    if not m.same_switch(c, switch) then
      return 'failed', ERR_CALL_EXISTS, 'call_id', '"' .. id .. '" is a call of switch "' .. c.switch .. '"'
    end
    return 'kept'
  end
  local ok, q = pcall(m.route_to, item.name or '')
  if not ok then
    if type(q) ~= 'table' or not q.refused then error(q) end
    return 'failed', q.refused[1], q.refused[2], q.refused[3]
  end
  local said = item.said
  said.switch = switch
  if c then
    m.arrive_too_late(c, q, said) -- its hang-up is known: it is not live
    return 'kept'
  end
  m.restore_call(id, item, said, q)
  return 'added'
end

-- restore_call adds a call the engine had lost, with its original arrival. It
-- was admitted once: opening hours and capacity are not asked again.
function m.restore_call(id, item, said, q)
  local joined = m.now
  if said.arrived_at and said.arrived_at < m.now then joined = said.arrived_at end
  local c = m.new_call(id, said, q, joined)
  if not item.answered_at then
    m.join(c, q)
    return
  end
  m.count_total(q, c.tier, 'joined', 1)
  m.emit_call(c, { kind = EVENT_CALL_JOINED })
  c.state, c.answered_at, c.agent = CALL_ANSWERED, max(joined, min(item.answered_at, m.now)), item.agent
  local wait = m.wait_of(c)
  if wait > q.threshold then m.note_late(c) end
  m.count_end(c, CALL_ANSWERED)
  local event = { kind = EVENT_CALL_ANSWERED, agent = c.agent, reason = REASON_RECONCILED, wait = wait ~= 0 and wait or nil }
  local a = m.get_agent(item.agent)
  if a and (a.state == AGENT_READY or a.state == AGENT_NOT_READY or a.state == AGENT_WRAP_UP) then
    a.call_id = id
    m.become(a, AGENT_TALKING, nil)
    event.agent_state = AGENT_TALKING
  end
  m.emit_call(c, event)
  m.arm_call(c)
end

-- close_lost ends the calls of a switch that it holds no longer, of those that
-- the daemon found; as_of says until when they must have joined.
function m.close_lost(switch, as_of, ids)
  local lost, freed = {}, {}
  for i = 1, #ids do
    local c = m.get_call(ids[i])
    if c and (c.switch or '') == switch and c.state < CALL_COMPLETED and c.joined_at < as_of then lost[#lost + 1] = c end
  end
  table.sort(lost, function(x, y) return x.seq < y.seq end)
  for i = 1, #lost do
    local c, a = lost[i], nil
    if c.state == CALL_ANSWERED then
      a = m.finish(c, REASON_RECONCILED)
    else
      local _
      _, a = m.end_call(c, CALL_ABANDONED, EVENT_CALL_ABANDONED, REASON_RECONCILED, ENDED_CALLER_HUNG_UP)
    end
    freed[#freed + 1] = a
  end
  for i = 1, #freed do m.free(freed[i]) end -- none of them is to be offered a call that is closed next
  return #lost
end

-- attach_switch records that a switch can be told to ring phones.
function m.attach_switch(switch, owner, token)
  if switch == '' or owner == '' or token == '' then
    m.refuse(ERR_INVALID, 'switch_id', 'switch, owner and token must be given')
  end
  m.renew(owner)
  local fresh = not m.get_switch(switch)
  m.switches[switch] = { owner = owner, token = token }
  call('HSET', key_daemons, 's:' .. switch, pack(m.switches[switch]))
  if fresh then m.emit({ kind = EVENT_SWITCH_CONNECTED, switch = switch }) end
  local list = m.ring_agents()
  for i = 1, #list do
    m.match(list[i])
    m.upgrade(list[i])
  end
  return {}
end

function m.detach_switch(switch, token)
  local s = m.get_switch(switch)
  if s and s.token == token then m.drop_switch(switch) end
  return {}
end

-- drop_switch takes back what its phones were ringing for.
function m.drop_switch(switch)
  m.switches[switch] = false
  call('HDEL', key_daemons, 's:' .. switch)
  m.emit({ kind = EVENT_SWITCH_DISCONNECTED, switch = switch })
  local list = m.ring_agents()
  for i = 1, #list do
    local o = m.get_offer(list[i].offer)
    local c = o and m.get_call(o.call_id)
    if c and c.switch == switch then m.give_back(o, ENDED_UNDELIVERED, nil) end
  end
  local names = decode(call('HGET', key_site, 'names'))
  for i = 1, #names do
    local q = m.get_queue(names[i])
    if q and (q.s.working_ring or 0) > 0 then m.reconsider(q) end -- who can serve a declined call has changed
  end
end

-- ring_agents lists the agents whose phones switches ring, longest idle first.
function m.ring_agents()
  local ids, list = call('SMEMBERS', key_ringing), {}
  for i = 1, #ids do list[#list + 1] = m.get_agent(ids[i]) end
  table.sort(list, function(x, y)
    local xs, ys = x.idle_since or 0, y.idle_since or 0
    if xs ~= ys then return xs < ys end
    return x.ord < y.ord
  end)
  return list
end
