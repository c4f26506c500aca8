-- Supervisors, switches and daemons: queue/supervise.go.

local function waiting_call(id)
  local c = get_call(id)
  if not c then refuse(ERR_CALL_NOT_FOUND, 'call_id', '"' .. id .. '" is no call this site knows') end
  if c.state ~= CALL_WAITING and c.state ~= CALL_OFFERED then
    refuse(ERR_WRONG_STATE, 'call_id',
      'call "' .. id .. '" is ' .. CALL_STATES[c.state + 1] .. '; only a waiting or offered call can be changed')
  end
  return c
end

-- move_call puts a waiting or offered call into another queue.
local function move_call(id, name, by)
  local c = waiting_call(id)
  local to = queue_named(name)
  if name == c.queue then return call_result(c) end
  local o = get_offer(c.offer)
  local a
  if o then
    a = get_agent(o.agent)
    end_offer(o, ENDED_MOVED)
    become(a, AGENT_READY, nil)
    emit_returned(o)
  end
  move_to(c, to, REASON_MOVED, by)
  if a then match(a) end -- whoever is first for him, the moved call included
  place(c)
  return call_result(c)
end

-- rerank gives waiting calls their tier: one call, or all of a number.
local function rerank(id, caller, tier, only_provisional, unattested)
  if tier < TIER_VIP or tier > TIER_BLACKLIST then
    refuse(ERR_INVALID, 'tier', 'must be vip, mid, ordinary or blacklist')
  end
  if id == '' then
    local list, n = {}, 0
    for _, one in ipairs(calls_of(caller)) do list[#list + 1] = get_call(one) end
    table.sort(list, function(x, y) return x.seq < y.seq end)
    for _, c in ipairs(list) do
      if (c.state == CALL_WAITING or c.state == CALL_OFFERED) and set_tier(c, tier, only_provisional, unattested) then
        n = n + 1
      end
    end
    return { reranked = n }
  end
  local c = get_call(id)
  if only_provisional and (not c or not c.provisional or c.state ~= CALL_WAITING and c.state ~= CALL_OFFERED) then
    return tier_too_late(c, tier)
  end
  c = waiting_call(id)
  local n = set_tier(c, tier, only_provisional, unattested) and 1 or 0
  local res = call_result(c)
  res.reranked = n
  return res
end

-- tier_too_late settles what a late lookup still changes when the call waits no
-- longer: a caller who hung up meanwhile gets the callback that the tier earns.
local function tier_too_late(c, tier)
  if not c or not c.provisional or c.state ~= CALL_ABANDONED or c.callback_id then return {} end
  local counted = c.tier
  c.tier, c.provisional = tier, nil
  local cb = earn_callback(c)
  c.tier = counted -- the call was counted under the tier it was served by
  touch_call(c)
  return { the_call = c, the_callback = cb }
end

-- set_tier changes a waiting call's tier and reports whether anything changed.
local function set_tier(c, tier, only_provisional, unattested)
  if only_provisional and not c.provisional or
    not c.provisional and c.tier == tier and (c.unattested or false) == unattested then
    return false
  end
  local from, lined, held = c.tier, c.lined, c.held
  line_out(c)
  recount(c, get_queue(c.queue), tier)
  c.provisional, c.unattested = nil, unattested or nil
  local o = get_offer(c.offer)
  if lined then
    line_up(c)
  elseif held then
    hold(c, get_agent(c.preferred))
  elseif o then
    local a = get_agent(o.agent)
    remove_live(o, a)
    o.slot = slot(c)
    add_live(o, a)
    touch_offer(o)
  end
  emit_call(c, { kind = EVENT_CALL_RERANKED, from_tier = from })
  place(c)
  o = get_offer(c.offer)
  if o then upgrade(get_agent(o.agent)) end
  return true
end

-- reconcile_one brings one call that the switch still holds onto record.
local function reconcile_one(switch, item)
  local id = item.id or ''
  if id == '' then return 'failed', ERR_INVALID, 'call_id', 'must not be empty' end
  local c = known_call(id)
  if c and not c.tombstone then
    if not same_switch(c, switch) then
      return 'failed', ERR_CALL_EXISTS, 'call_id', '"' .. id .. '" is a call of switch "' .. c.switch .. '"'
    end
    return 'kept'
  end
  local ok, q = pcall(route_to, item.name or '')
  if not ok then
    if type(q) ~= 'table' or not q.refused then error(q) end
    return 'failed', q.refused[1], q.refused[2], q.refused[3]
  end
  local said = item.said
  said.switch = switch
  if c then
    arrive_too_late(c, q, said) -- its hang-up is known: it is not live
    return 'kept'
  end
  restore_call(id, item, said, q)
  return 'added'
end

-- restore_call adds a call the engine had lost, with its original arrival. It
-- was admitted once: opening hours and capacity are not asked again.
local function restore_call(id, item, said, q)
  local joined = now
  if said.arrived_at and said.arrived_at < now then joined = said.arrived_at end
  local c = new_call(id, said, q, joined)
  if not item.answered_at then
    join(c, q)
    return
  end
  count_total(q, c.tier, 'joined', 1)
  emit_call(c, { kind = EVENT_CALL_JOINED })
  c.state, c.answered_at, c.agent = CALL_ANSWERED, max(joined, min(item.answered_at, now)), item.agent
  local wait = wait_of(c)
  if wait > q.threshold then note_late(c) end
  count_end(c, CALL_ANSWERED)
  local event = { kind = EVENT_CALL_ANSWERED, agent = c.agent, reason = REASON_RECONCILED, wait = wait ~= 0 and wait or nil }
  local a = get_agent(item.agent)
  if a and (a.state == AGENT_READY or a.state == AGENT_NOT_READY or a.state == AGENT_WRAP_UP) then
    a.call_id = id
    become(a, AGENT_TALKING, nil)
    event.agent_state = AGENT_TALKING
  end
  emit_call(c, event)
  arm_call(c)
end

-- close_lost ends the calls of a switch that it holds no longer, of those that
-- the daemon found; as_of says until when they must have joined.
local function close_lost(switch, as_of, ids)
  local lost, freed = {}, {}
  for i = 1, #ids do
    local c = get_call(ids[i])
    if c and (c.switch or '') == switch and c.state < CALL_COMPLETED and c.joined_at < as_of then lost[#lost + 1] = c end
  end
  table.sort(lost, function(x, y) return x.seq < y.seq end)
  for i = 1, #lost do
    local c, a = lost[i], nil
    if c.state == CALL_ANSWERED then
      a = finish(c, REASON_RECONCILED)
    else
      local _
      _, a = end_call(c, CALL_ABANDONED, EVENT_CALL_ABANDONED, REASON_RECONCILED, ENDED_CALLER_HUNG_UP)
    end
    freed[#freed + 1] = a
  end
  for i = 1, #freed do free(freed[i]) end -- none of them is to be offered a call that is closed next
  return #lost
end

-- attach_switch records that a switch can be told to ring phones.
local function attach_switch(switch, owner, token)
  if switch == '' or owner == '' or token == '' then
    refuse(ERR_INVALID, 'switch_id', 'switch, owner and token must be given')
  end
  renew(owner)
  local fresh = not get_switch(switch)
  switches[switch] = { owner = owner, token = token }
  call('HSET', key_daemons, 's:' .. switch, pack(switches[switch]))
  if fresh then emit({ kind = EVENT_SWITCH_CONNECTED, switch = switch }) end
  local list = ring_agents()
  for i = 1, #list do
    match(list[i])
    upgrade(list[i])
  end
  return {}
end

local function detach_switch(switch, token)
  local s = get_switch(switch)
  if s and s.token == token then drop_switch(switch) end
  return {}
end

-- drop_switch takes back what its phones were ringing for.
local function drop_switch(switch)
  switches[switch] = false
  call('HDEL', key_daemons, 's:' .. switch)
  emit({ kind = EVENT_SWITCH_DISCONNECTED, switch = switch })
  local list = ring_agents()
  for i = 1, #list do
    local o = get_offer(list[i].offer)
    local c = o and get_call(o.call_id)
    if c and c.switch == switch then give_back(o, ENDED_UNDELIVERED, nil) end
  end
  local names = site.queues
  for i = 1, #names do
    local q = get_queue(names[i])
    if q and (q.s.working_ring or 0) > 0 then reconsider(q) end -- who can serve a declined call has changed
  end
end

-- ring_agents lists the agents whose phones switches ring, longest idle first.
local function ring_agents()
  local ids, list = call('SMEMBERS', key_ringing), {}
  for i = 1, #ids do list[#list + 1] = get_agent(ids[i]) end
  table.sort(list, function(x, y)
    local xs, ys = x.idle_since or 0, y.idle_since or 0
    if xs ~= ys then return xs < ys end
    return x.ord < y.ord
  end)
  return list
end
