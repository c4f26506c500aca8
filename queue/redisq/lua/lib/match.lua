-- Who gets whom: queue/match.go.

-- ringable reports whether the switch that holds e can ring an agent's phone.
function m.ringable(e) return not e.is_callback and m.get_switch(e.switch) ~= nil end

-- others_can_serve reports whether an agent who did not decline e works.
function m.others_can_serve(e)
  local reach, q = m.ringable(e), m.get_queue(e.queue)
  local n = q.s.working or 0
  if not reach then n = n - (q.s.working_ring or 0) end
  for i = 1, #e.declined do
    local a = m.get_agent(e.declined[i])
    if a and m.working(a.state) and m.serves(a, e.queue) and (reach or not a.ring) then n = n - 1 end
  end
  return n > 0
end

-- eligible reports whether e may be offered to a, who serves its queue: the
-- offer must reach him, and a call that he declined goes to others while another
-- can serve it.
function m.eligible(e, a)
  if a.ring and not m.ringable(e) then return false end
  return not m.contains(e.declined, a.id) or not m.others_can_serve(e)
end

-- place tries to serve a waiting entry now: by its preferred agent, by the agent
-- who is idle longest at the best level, or, for a VIP, by taking back an offer of
-- a lower tier that nobody has accepted yet. The agent picked may have another who
-- ranks before it (their wait for one agent is over, or who declined them matters
-- no more): that one is served first.
function m.place(e)
  while e.lined or e.held do
    local a, why = m.pick_agent(e)
    if not a then break end
    local first = m.next_for(a, SLOTS)
    if first ~= e then why = m.why_next(first, a) end
    m.offer_to(first, a, why)
  end
  if e.is_callback or not m.site.preemption or m.slot(e) ~= SLOT_VIP then return end
  while e.lined or e.held do
    local victim, a = m.pick_victim(e)
    if not victim then return end
    m.preempt(victim, a, m.next_for(a, SLOT_MID)) -- the first VIP for that agent, most often e
  end
end

-- pick_agent returns the idle agent who is to have e, and why.
function m.pick_agent(e)
  if e.preferred and not e.is_callback then
    local a = m.get_agent(e.preferred)
    if a and a.idle and m.serves(a, e.queue) and m.eligible(e, a) then return a, WHY_PREFERRED_AGENT end
  end
  if e.held then return nil end
  local prefix = format('%04x', m.get_queue(e.queue).no)
  local from, step = 0, 1
  while true do
    local list = call('ZRANGEBYLEX', key_idle, '[' .. prefix, '(' .. prefix .. 'g', 'LIMIT', from, step)
    for i = 1, #list do
      local a = m.get_agent(list[i]:sub(35))
      if not a then
        call('ZREM', key_idle, list[i])
      elseif m.eligible(e, a) then
        return a, WHY_LONGEST_IDLE
      else
        from = from + 1
      end
    end
    if #list < step then return nil end
    step = SCAN_STEP
  end
end

-- pick_victim returns the live offer that a VIP may displace and its agent: the
-- lowest tier, then the youngest.
function m.pick_victim(vip)
  local no = m.get_queue(vip.queue).no
  local from, step = 0, 1
  while true do
    local list = call('ZREVRANGEBYSCORE', key_live, format('(%d', m.base(no, SLOTS)), m.base(no, SLOT_MID), 'LIMIT', from, step)
    for i = 1, #list do
      local o = m.get_offer(tonumber(list[i]:sub(16)))
      local a = o and m.get_agent(o.agent)
      if not a then
        call('ZREM', key_live, list[i])
      elseif not (vip.held and vip.preferred ~= a.id) and m.eligible(vip, a) then
        return o, a
      else
        from = from + 1
      end
    end
    if #list < step then return nil end
    step = SCAN_STEP
  end
end

-- offered returns what an offer is about.
function m.offered(o)
  if o.call_id then return m.get_call(o.call_id) end
  return m.get_callback(o.callback_id)
end

-- preempt rescinds an offer for a VIP; the displaced one goes back to its place.
function m.preempt(victim, a, vip)
  local e = m.end_offer(victim, ENDED_PREEMPTED)
  m.become(a, AGENT_READY, nil)
  m.emit_returned(victim)
  m.offer_to(vip, a, WHY_PREEMPTION)
  m.place(e)
end

-- match gives a ready agent the first of those who wait for him, or puts him
-- among the idle.
function m.match(a)
  if a.state ~= AGENT_READY or not a.presence then return end
  local e = m.next_for(a, SLOTS)
  if not e then
    m.set_idle(a, true)
    return
  end
  m.offer_to(e, a, m.why_next(e, a))
end

function m.why_next(e, a)
  if not e.is_callback and e.preferred == a.id then return WHY_PREFERRED_AGENT end
  return WHY_NEXT_IN_LINE
end

-- first_in returns a queue's first waiting entry, of a slot above the given one,
-- that a may be offered.
function m.first_in(no, above, a)
  local low, high = format('%d', m.base(no, SLOT_VIP)), format('(%d', m.base(no, above))
  local from, step = 0, 1
  while true do
    local list = call('ZRANGEBYSCORE', key_lines, low, high, 'LIMIT', from, step)
    for i = 1, #list do
      local e = m.entry_of(list[i])
      if e and m.eligible(e, a) then return e end
      if e then from = from + 1 end -- what is not on record has left the line
    end
    if #list < step then return nil end
    step = SCAN_STEP
  end
end

-- front returns what the line itself says of a queue's first entry of a slot above
-- the given one; nil when there is none. Its record is not read.
function m.front(service, above)
  local base = m.base(service[3], SLOT_VIP)
  local list = call('ZRANGEBYSCORE', key_lines, format('%d', base), format('(%d', m.base(service[3], above)), 'WITHSCORES', 'LIMIT', 0, 1)
  if not list[1] then return nil end
  local at = tonumber(list[2]) - base
  local slot = floor(at / LINE_SPAN)
  return { member = list[1], slot = slot, level = service[2], rank = at - slot * LINE_SPAN }
end

-- front_before is before for two fronts.
function m.front_before(x, y)
  if x.slot ~= y.slot then return x.slot < y.slot end
  if x.level ~= y.level then return x.level < y.level end
  if x.rank ~= y.rank then return x.rank < y.rank end
  return x.member:sub(1, 11) < y.member:sub(1, 11)
end

-- first_of_all returns the first waiting entry of all queues that a serves, and its
-- level. He may serve many: the lines are asked only for what would rank before the
-- best so far, and one record is read.
function m.first_of_all(a, above)
  local best
  for i = 1, #a.services do
    local s, high = a.services[i], above
    if best then high = s[2] > best.level and best.slot or best.slot + 1 end
    local f = high > SLOT_VIP and m.front(s, high)
    if f and (not best or m.front_before(f, best)) then best = f end
  end
  if not best then return nil end
  local e = m.entry_of(best.member)
  if e and m.eligible(e, a) then return e, best.level end
  return m.first_eligible(a, above)
end

-- first_eligible is first_of_all when he may not be offered the very first entry.
function m.first_eligible(a, above)
  local best, level
  for i = 1, #a.services do
    local s = a.services[i]
    local e = m.first_in(s[3], best and min(above, m.slot(best) + 1) or above, a)
    if e and (not best or m.before(e, s[2], best, level)) then best, level = e, s[2] end
  end
  return best, level
end

-- next_for returns the first waiting entry, of a slot above the given one, that
-- a may be offered.
function m.next_for(a, above)
  local best, best_level
  local held = m.held_by(a)
  for i = 1, #held do
    local e = held[i]
    local level = m.serves(a, e.queue)
    if level and m.slot(e) < above and m.eligible(e, a) and (not best or m.before(e, level, best, best_level)) then
      best, best_level = e, level
    end
  end
  local e, level
  if best then above = min(above, m.slot(best) + 1) end
  if #a.services == 1 then
    e, level = m.first_in(a.services[1][3], above, a), a.services[1][2]
  else
    e, level = m.first_of_all(a, above)
  end
  if e and (not best or m.before(e, level, best, best_level)) then return e end
  return best
end

-- upgrade takes an unaccepted offer back when a VIP waits that its agent may
-- serve: his queues have changed.
function m.upgrade(a)
  local o = m.get_offer(a.offer)
  if not o or o.slot == SLOT_VIP or not m.site.preemption then return end
  local vip = m.next_for(a, SLOT_MID)
  if vip then m.preempt(o, a, vip) end
end

-- offer_to leases e to a. An offer uses up a long poll: its answer carries it.
function m.offer_to(e, a, why)
  local s = m.slot(e)
  if s > SLOT_VIP and (m.meta.vips or 0) > 0 and m.next_for(a, SLOT_MID) then m.meta.violations = (m.meta.violations or 0) + 1 end
  m.line_out(e)
  local q = m.get_queue(e.queue)
  m.meta.epoch = (m.meta.epoch or 0) + 1
  local epoch = m.meta.epoch
  local o = {
    epoch = epoch, agent = a.id, offered_at = m.now, expires_at = m.now + q.offer_timeout, why = why, slot = s,
    rank = m.rank_at(e), rank_seq = e.seq,
  }
  if a.presence == PRESENT_STREAM and m.site.ack_timeout then o.ack_by = m.now + m.site.ack_timeout end
  m.offers[epoch] = o
  if epoch % OFFERS_TRIM == 0 then m.forget_offers(epoch - OFFERS_KEPT) end
  m.add_live(o, a)
  m.touch_offer(o)
  a.offer = epoch
  if a.presence == PRESENT_POLL then m.set_presence(a, nil, nil) end
  m.become(a, AGENT_OFFERED, nil)
  local event = { agent = a.id, agent_state = a.state, offer = epoch, why = why }
  if not e.is_callback then
    o.call_id, a.call_id = e.id, e.id
    e.state, e.agent, e.offer, e.offered_at, e.held_until = CALL_OFFERED, a.id, epoch, m.now, nil
    e.offers = (e.offers or 0) + 1
    m.arm_call(e)
    m.count_total(q, e.tier, 'offers', 1)
    event.kind = EVENT_CALL_OFFERED
    m.emit_call(e, event)
    return
  end
  o.callback_id, a.callback_id = e.id, e.id
  e.state, e.offer = CALLBACK_OFFERED, epoch
  m.arm_callback(e)
  event.kind = EVENT_CALLBACK_OFFERED
  m.emit_callback(e, event)
end

-- forget_offers drops past offers up to an epoch; live ones stay, and are
-- dropped with their end.
function m.forget_offers(upto)
  local fields = {}
  for epoch = max(1, upto - OFFERS_TRIM + 1), upto do
    local o = m.get_offer(epoch)
    if o and o.ended then fields[#fields + 1] = format('%d', epoch) end
  end
  if fields[1] then call('HDEL', key_offers, unpack(fields)) end
end

-- end_offer ends a live offer that nobody accepted and returns what was offered,
-- which is back in its place. The agent is still in state offered: the caller
-- says what becomes of him, then of the call.
function m.end_offer(o, how)
  local e = m.offered(o)
  m.close_offer(o, how)
  if not e.is_callback then
    e.state, e.agent, e.offer = CALL_WAITING, nil, nil
    m.arm_call(e)
    m.touch_call(e)
  else
    e.state = CALLBACK_DUE
    m.arm_callback(e)
    m.touch_callback(e)
  end
  m.line_up(e)
  return e
end

-- close_offer makes a live offer a past one.
function m.close_offer(o, how)
  local a = m.get_agent(o.agent)
  o.ended = how
  m.remove_live(o, a)
  m.touch_offer(o)
  if o.callback_id then
    local cb = m.get_callback(o.callback_id)
    cb.offer = nil
    m.touch_callback(cb)
  end
  a.offer, a.call_id, a.callback_id = nil, nil, nil
  m.touch_agent(a)
end

-- emit_returned tells how an offer ended, with the agent's state after it.
function m.emit_returned(o)
  local event = { agent = o.agent, agent_state = m.get_agent(o.agent).state, offer = o.epoch, reason = o.ended }
  local e = m.offered(o)
  if not e.is_callback then
    event.kind = EVENT_OFFER_RETURNED
    m.emit_call(e, event)
    return
  end
  event.kind = EVENT_CALLBACK_RETURNED
  m.emit_callback(e, event)
  m.pass(e) -- the window may have closed meanwhile
end
