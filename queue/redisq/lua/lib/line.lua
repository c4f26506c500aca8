-- Lines, idle agents, holds and live offers: queue/line.go in sorted sets.
--
-- A line is a queue's entries of one slot. All lines are one sorted set: the
-- score is (queue number * SLOTS + slot) * LINE_SPAN + the rank's instant, the
-- member is the sequence, 'c' for a call or 'b' for a callback, and the id. So
-- a queue's entries stand side by side, by slot, then instant, then sequence.

function m.slot_of(tier)
  if tier == TIER_VIP then return SLOT_VIP end
  if tier == TIER_MID then return SLOT_MID end
  if tier == TIER_BLACKLIST then return SLOT_BLACKLIST end
  return SLOT_ORDINARY
end

-- slot returns the rank class of an entry.
function m.slot(e)
  if not e.is_callback then return m.slot_of(e.tier) end
  return e.escalated_at and SLOT_MID or SLOT_CALLBACK
end

-- rank_at returns an entry's place within its slot; its sequence breaks ties.
function m.rank_at(e)
  if not e.is_callback then return e.joined_at end
  return e.escalated_at and e.arrived_at or e.due_at
end

function m.base(no, s) return (no * SLOTS + s) * LINE_SPAN end

function m.score(no, s, at) return m.base(no, s) + min(max(at - LINE_EPOCH, 0), LINE_SPAN - 1) end

function m.line_score(e) return m.score(m.get_queue(e.queue).no, m.slot(e), m.rank_at(e)) end

function m.line_member(e) return format('%011x', e.seq) .. (e.is_callback and 'b' or 'c') .. e.id end

-- entry_of returns the entry of a line's member; one that is on record no
-- longer is taken out of the line.
function m.entry_of(member)
  local id = member:sub(13)
  local e
  if member:sub(12, 12) == 'c' then e = m.get_call(id) else e = m.get_callback(id) end
  if not e then
    call('ZREM', key_lines, member)
    call('ZREM', key_declined, member)
  end
  return e
end

-- before is the one comparison of two entries that wait for the same agent:
-- tier, then the agent's level for the queue, then arrival.
function m.before(a, a_level, b, b_level)
  local sa, sb = m.slot(a), m.slot(b)
  if sa ~= sb then return sa < sb end
  if a_level ~= b_level then return a_level < b_level end
  local ra, rb = m.rank_at(a), m.rank_at(b)
  if ra ~= rb then return ra < rb end
  return a.seq < b.seq
end

-- count_escalated keeps how many callbacks stand in a queue's mid-tier line.
function m.count_escalated(e, n)
  if e.is_callback and e.escalated_at then
    local q = m.get_queue(e.queue)
    q.s.escalated = (q.s.escalated or 0) + n
    m.touch_queue(q)
  end
end

-- line_up puts e into its line, at the place its rank gives it.
function m.line_up(e)
  local at, member = format('%d', m.line_score(e)), m.line_member(e)
  call('ZADD', key_lines, at, member)
  e.lined = true
  if e.declined then call('ZADD', key_declined, at, member) end
  m.count_escalated(e, 1)
end

function m.held_prefix(a) return format('%011x', a.ord) end

function m.held_member(e, a)
  return m.held_prefix(a) .. format('%d%011x', m.slot(e), max(e.joined_at, 0)) .. m.line_member(e)
end

-- line_out takes e out of its line or out of its preferred agent's hold.
function m.line_out(e)
  if e.lined then
    local member = m.line_member(e)
    call('ZREM', key_lines, member)
    if e.declined then call('ZREM', key_declined, member) end
    e.lined = nil
    m.count_escalated(e, -1)
  elseif e.held then
    local a = m.get_agent(e.preferred)
    if a then
      call('ZREM', key_held, m.held_member(e, a))
      a.holds = a.holds and a.holds > 1 and a.holds - 1 or nil
      m.touch_agent(a)
    end
    e.held = nil
  end
end

-- hold makes e wait for one agent only.
function m.hold(e, a)
  call('ZADD', key_held, 0, m.held_member(e, a))
  a.holds = (a.holds or 0) + 1
  m.touch_agent(a)
  e.held = true
end

-- held_by lists the calls held for an agent, the first of them first.
function m.held_by(a)
  local list = {}
  if not a.holds then return list end
  local prefix = m.held_prefix(a)
  local members = call('ZRANGEBYLEX', key_held, '[' .. prefix, '(' .. prefix .. 'g')
  for i = 1, #members do
    local e = m.get_call(members[i]:sub(36))
    if e then list[#list + 1] = e else call('ZREM', key_held, members[i]) end
  end
  return list
end

-- ahead returns how many entries of the queue rank before e, which waits.
function m.ahead(e)
  local first = m.base(m.get_queue(e.queue).no, SLOT_VIP)
  if e.lined then
    local rank = call('ZRANK', key_lines, m.line_member(e)) or 0
    return rank - (first > 0 and call('ZCOUNT', key_lines, '-inf', format('(%d', first)) or 0)
  end
  local at, member = m.line_score(e), m.line_member(e)
  local n = call('ZCOUNT', key_lines, first, format('(%d', at))
  local tied = call('ZRANGEBYSCORE', key_lines, at, at)
  for i = 1, #tied do
    if tied[i] < member then n = n + 1 end
  end
  return n
end

-- position returns a waiting call's place in its queue, 1 = next, 0 when it does
-- not wait in line. A call held for its preferred agent counts where it would stand.
function m.position(c)
  if not c.lined and not c.held then return 0 end
  return m.ahead(c) + 1
end

-- estimate returns the expected wait at a position in milliseconds; -1 when
-- nobody works.
function m.estimate(q, place)
  if place == 0 then return 0 end
  local working = q.s.working or 0
  if working == 0 then return -1 end
  return floor(place * (q.s.handle or q.handle) / working)
end

-- serves returns the agent's level for a queue, nil when there is none.
function m.serves(a, name)
  local list = a.services
  if list then
    for i = 1, #list do
      if list[i][1] == name then return list[i][2] end
    end
  end
  return nil
end

-- set_idle puts an agent among the idle of his queues or takes him out. An idle
-- agent's member is queue number, level, idle since, order, id.
function m.set_idle(a, idle)
  if (a.idle or false) == idle then return end
  a.idle = idle or nil
  local args, tail = {}, format('%011x%011x', a.idle_since or 0, a.ord) .. a.id
  for i = 1, #a.services do
    local s = a.services[i]
    if idle then args[#args + 1] = 0 end
    args[#args + 1] = format('%04x%08x', s[3], min(s[2], 4294967295)) .. tail
  end
  m.many(idle and 'ZADD' or 'ZREM', key_idle, args)
end

-- A live offer that a VIP may take back stands in the set of each queue its
-- agent serves, by slot and rank: the last one of a queue is displaced first.
function m.live_members(o, a, with_scores)
  local args = {}
  for i = 1, #a.services do
    local no = a.services[i][3]
    if with_scores then args[#args + 1] = format('%d', m.score(no, o.slot, o.rank)) end
    args[#args + 1] = format('%011x%04x%d', o.rank_seq, no, o.epoch)
  end
  return args
end

function m.add_live(o, a)
  if o.slot > SLOT_VIP then m.many('ZADD', key_live, m.live_members(o, a, true)) end
end

function m.remove_live(o, a)
  if o.slot > SLOT_VIP then m.many('ZREM', key_live, m.live_members(o, a, false)) end
end
