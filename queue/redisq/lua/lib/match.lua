-- Who gets whom: queue/match.go.

-- ringable reports whether the switch that holds e can ring an agent's phone.
local function ringable(e) return not e.is_callback and get_switch(e.switch) ~= nil end

-- others_can_serve reports whether an agent who did not decline e works.
local function others_can_serve(e)
  local reach, q = ringable(e), get_queue(e.queue)
  local n = q.s.working or 0
  if not reach then n = n - (q.s.working_ring or 0) end
  for i = 1, #e.declined do
    local a = get_agent(e.declined[i])
    if a and working(a.state) and serves(a, e.queue) and (reach or not a.ring) then n = n - 1 end
  end
  return n > 0
end

-- eligible reports whether e may be offered to a, who serves its queue: the
-- offer must reach him, and a call that he declined goes to others while another
-- can serve it.
local function eligible(e, a)
  if a.ring and not ringable(e) then return false end
  return not contains(e.declined, a.id) or not others_can_serve(e)
end

-- place tries to serve a waiting entry now: by its preferred agent, by the agent
-- who is idle longest at the best level, or, for a VIP, by taking back an offer of
-- a lower tier that nobody has accepted yet. The agent picked may have another who
-- ranks before it (their wait for one agent is over, or who declined them matters
-- no more): that one is served first.
local function place(e)
  while e.lined or e.held do
    local a, why = pick_agent(e)
    if not a then break end
    local first = next_for(a, SLOTS)
    if first ~= e then why = why_next(first, a) end
    offer_to(first, a, why)
  end
  if e.is_callback or not site.preemption or slot(e) ~= SLOT_VIP then return end
  while e.lined or e.held do
    local victim, a = pick_victim(e)
    if not victim then return end
    preempt(victim, a, next_for(a, SLOT_MID)) -- the first VIP for that agent, most often e
  end
end

-- pick_agent returns the idle agent who is to have e, and why.
local function pick_agent(e)
  if e.preferred and not e.is_callback then
    local a = get_agent(e.preferred)
    if a and a.idle and serves(a, e.queue) and eligible(e, a) then return a, WHY_PREFERRED_AGENT end
  end
  if e.held then return nil end
  local prefix = format('%04x', get_queue(e.queue).no)
  local from, step = 0, 1
  while true do
    local list = call('ZRANGEBYLEX', key_idle, '[' .. prefix, '(' .. prefix .. 'g', 'LIMIT', from, step)
    for i = 1, #list do
      local a = get_agent(list[i]:sub(35))
      if not a then
        call('ZREM', key_idle, list[i])
      elseif eligible(e, a) then
        return a, WHY_LONGEST_IDLE
      end
    end
    if #list < step then return nil end
    from, step = from + step, SCAN_STEP
  end
end

-- pick_victim returns the live offer that a VIP may displace and its agent: the
-- lowest tier, then the youngest.
local function pick_victim(vip)
  local no = get_queue(vip.queue).no
  local from, step = 0, 1
  while true do
    local list = call('ZREVRANGEBYSCORE', key_live, format('(%.0f', base(no, SLOTS)), base(no, SLOT_MID), 'LIMIT', from, step)
    for i = 1, #list do
      local o = get_offer(tonumber(list[i]:sub(16)))
      local a = o and get_agent(o.agent)
      if not a then
        call('ZREM', key_live, list[i])
      elseif not (vip.held and vip.preferred ~= a.id) and eligible(vip, a) then
        return o, a
      end
    end
    if #list < step then return nil end
    from, step = from + step, SCAN_STEP
  end
end

-- offered returns what an offer is about.
local function offered(o)
  if o.call_id then return get_call(o.call_id) end
  return get_callback(o.callback_id)
end

-- preempt rescinds an offer for a VIP; the displaced one goes back to its place.
local function preempt(victim, a, vip)
  local e = end_offer(victim, ENDED_PREEMPTED)
  become(a, AGENT_READY, nil)
  emit_returned(victim)
  offer_to(vip, a, WHY_PREEMPTION)
  place(e)
end

-- match gives a ready agent the first of those who wait for him, or puts him
-- among the idle.
local function match(a)
  if a.state ~= AGENT_READY or not a.presence then return end
  local e = next_for(a, SLOTS)
  if not e then
    set_idle(a, true)
    return
  end
  offer_to(e, a, why_next(e, a))
end

local function why_next(e, a)
  if not e.is_callback and e.preferred == a.id then return WHY_PREFERRED_AGENT end
  return WHY_NEXT_IN_LINE
end

-- first_in returns a queue's first waiting entry, of a slot above the given one,
-- that a may be offered.
local function first_in(no, above, a)
  local low, high = base(no, SLOT_VIP), format('(%.0f', base(no, above))
  local from, step = 0, 1
  while true do
    local list = call('ZRANGEBYSCORE', key_lines, low, high, 'LIMIT', from, step)
    for i = 1, #list do
      local e = entry_of(list[i])
      if e and eligible(e, a) then return e end
    end
    if #list < step then return nil end
    from, step = from + step, SCAN_STEP
  end
end

-- next_for returns the first waiting entry, of a slot above the given one, that
-- a may be offered.
local function next_for(a, above)
  local best, best_level
  local held = held_by(a)
  for i = 1, #held do
    local e = held[i]
    local level = serves(a, e.queue)
    if level and slot(e) < above and eligible(e, a) and (not best or before(e, level, best, best_level)) then
      best, best_level = e, level
    end
  end
  for i = 1, #a.services do
    local s = a.services[i]
    local e = first_in(s[3], best and min(above, slot(best) + 1) or above, a)
    if e and (not best or before(e, s[2], best, best_level)) then best, best_level = e, s[2] end
  end
  return best
end

-- upgrade takes an unaccepted offer back when a VIP waits that its agent may
-- serve: his queues have changed.
local function upgrade(a)
  local o = get_offer(a.offer)
  if not o or o.slot == SLOT_VIP or not site.preemption then return end
  local vip = next_for(a, SLOT_MID)
  if vip then preempt(o, a, vip) end
end

-- offer_to leases e to a. An offer uses up a long poll: its answer carries it.
local function offer_to(e, a, why)
  local s = slot(e)
  if s > SLOT_VIP and (meta.vips or 0) > 0 and next_for(a, SLOT_MID) then meta.violations = (meta.violations or 0) + 1 end
  line_out(e)
  local q = get_queue(e.queue)
  meta.epoch = (meta.epoch or 0) + 1
  local epoch = meta.epoch
  local o = {
    epoch = epoch, agent = a.id, offered_at = now, expires_at = now + q.offer_timeout, why = why, slot = s,
    rank = rank_at(e), rank_seq = e.seq,
  }
  if a.presence == PRESENT_STREAM and site.ack_timeout then o.ack_by = now + site.ack_timeout end
  offers[epoch] = o
  if epoch % OFFERS_TRIM == 0 then forget_offers(epoch - OFFERS_KEPT) end
  add_live(o, a)
  touch_offer(o)
  a.offer = epoch
  if a.presence == PRESENT_POLL then set_presence(a, nil, nil) end
  become(a, AGENT_OFFERED, nil)
  local event = { agent = a.id, agent_state = a.state, offer = epoch, why = why }
  if not e.is_callback then
    o.call_id, a.call_id = e.id, e.id
    e.state, e.agent, e.offer, e.offered_at, e.held_until = CALL_OFFERED, a.id, epoch, now, nil
    e.offers = (e.offers or 0) + 1
    arm_call(e)
    count_total(q, e.tier, 'offers', 1)
    event.kind = EVENT_CALL_OFFERED
    emit_call(e, event)
    return
  end
  o.callback_id, a.callback_id = e.id, e.id
  e.state, e.offer = CALLBACK_OFFERED, epoch
  arm_callback(e)
  event.kind = EVENT_CALLBACK_OFFERED
  emit_callback(e, event)
end

-- forget_offers drops past offers up to an epoch; live ones stay, and are
-- dropped with their end.
local function forget_offers(upto)
  local fields = {}
  for epoch = max(1, upto - OFFERS_TRIM + 1), upto do
    local o = get_offer(epoch)
    if o and o.ended then fields[#fields + 1] = format('%.0f', epoch) end
  end
  if fields[1] then call('HDEL', key_offers, unpack(fields)) end
end

-- end_offer ends a live offer that nobody accepted and returns what was offered,
-- which is back in its place. The agent is still in state offered: the caller
-- says what becomes of him, then of the call.
local function end_offer(o, how)
  local e = offered(o)
  close_offer(o, how)
  if not e.is_callback then
    e.state, e.agent, e.offer = CALL_WAITING, nil, nil
    arm_call(e)
    touch_call(e)
  else
    e.state = CALLBACK_DUE
    arm_callback(e)
    touch_callback(e)
  end
  line_up(e)
  return e
end

-- close_offer makes a live offer a past one.
local function close_offer(o, how)
  local a = get_agent(o.agent)
  o.ended = how
  remove_live(o, a)
  touch_offer(o)
  if o.callback_id then
    local cb = get_callback(o.callback_id)
    cb.offer = nil
    touch_callback(cb)
  end
  a.offer, a.call_id, a.callback_id = nil, nil, nil
  touch_agent(a)
end

-- emit_returned tells how an offer ended, with the agent's state after it.
local function emit_returned(o)
  local event = { agent = o.agent, agent_state = get_agent(o.agent).state, offer = o.epoch, reason = o.ended }
  local e = offered(o)
  if not e.is_callback then
    event.kind = EVENT_OFFER_RETURNED
    emit_call(e, event)
    return
  end
  event.kind = EVENT_CALLBACK_RETURNED
  emit_callback(e, event)
  pass(e) -- the window may have closed meanwhile
end
