-- The unit of work: records are loaded when they are first asked for, changed
-- as tables, and written once at the end. Sorted sets are written at once,
-- since the decision goes on to search them.

-- thaw decodes a stored record. One that cannot be read is set aside under the
-- names of its key and field, told to the daemon, and counts as missing.
function m.thaw(key, id, raw)
  if not raw then return nil end
  local ok, record = pcall(decode, raw)
  if ok and type(record) == 'table' then
    record.raw = raw
    return record
  end
  call('HSET', key_damaged, key .. ' ' .. id, raw)
  call('HDEL', key, id)
  m.damaged[#m.damaged + 1] = key .. ' ' .. id
end

function m.load(key, id) return m.thaw(key, id, call('HGET', key, id)) end

-- link_call adds what a record at work carries beside its fields.
function m.link_call(c, id)
  c.id = id
  if c.state == CALL_WAITING then
    if c.held_until then c.held = true else c.lined = true end
  end
  m.calls[id] = c
  return c
end

function m.get_call(id)
  if not id then return nil end
  local c = m.calls[id]
  if c == nil then
    c = m.load(key_calls, id)
    if c then return m.link_call(c, id) end
    m.calls[id] = false
  end
  return c or nil
end

function m.get_callback(id)
  if not id then return nil end
  local cb = m.callbacks[id]
  if cb == nil then
    cb = m.load(key_callbacks, id) or false
    if cb then
      cb.id, cb.is_callback, cb.was = id, true, cb.state
      cb.lined = cb.state == CALLBACK_DUE or nil
    end
    m.callbacks[id] = cb
  end
  return cb or nil
end

-- stream_of names the daemon whose lease an agent's stream lives by.
function m.stream_of(a) return a.presence == PRESENT_STREAM and a.owner or nil end

function m.link_agent(a, id)
  a.id = id
  a.idle = a.state == AGENT_READY and a.presence ~= nil or nil
  a.was_stream, a.was_ring = m.stream_of(a), a.ring and a.state ~= AGENT_SIGNED_OUT or nil
  m.agents[id] = a
  return a
end

function m.get_agent(id)
  if not id then return nil end
  local a = m.agents[id]
  if a == nil then
    a = m.load(key_agents, id)
    if a then return m.link_agent(a, id) end
    m.agents[id] = false
  end
  return a or nil
end

function m.get_offer(epoch)
  if not epoch then return nil end
  local o = m.offers[epoch]
  if o == nil then
    o = m.load(key_offers, format('%d', epoch)) or false
    if o then o.epoch = epoch end
    m.offers[epoch] = o
  end
  return o or nil
end

-- get_queue returns a queue's settings, with what it has learned and counted in s.
function m.get_queue(name)
  if not name then return nil end
  local q = m.queues[name]
  if q == nil then
    local v = call('HMGET', key_site, 'queue:' .. name, 'state:' .. name)
    q = v[1] and decode(v[1]) or false
    if q then
      q.name = name
      q.s = m.thaw(key_site, 'state:' .. name, v[2]) or {}
      q.s.raw = nil
    end
    m.queues[name] = q
  end
  return q or nil
end

function m.get_switch(name)
  if not name then return nil end
  local s = m.switches[name]
  if s == nil then
    s = m.load(key_daemons, 's:' .. name) or false
    m.switches[name] = s
  end
  return s or nil
end

function m.touch_call(c)
  c.raw = nil
  m.touched_calls[c.id] = c
end

function m.touch_agent(a)
  a.raw = nil
  m.touched_agents[a.id] = a
end

function m.touch_offer(o)
  o.raw = nil
  m.touched_offers[o.epoch] = o
end

function m.touch_callback(cb)
  cb.raw = nil
  m.touched_callbacks[cb.id] = cb
end

function m.touch_queue(q) m.touched_queues[q.name] = q end

-- The packed form of a record, without what only a record at work carries.

function m.frozen_call(c)
  if not c.raw then
    local id, lined, held = c.id, c.lined, c.held
    c.id, c.lined, c.held = nil, nil, nil
    local raw = pack(c)
    c.id, c.lined, c.held, c.raw = id, lined, held, raw
  end
  return c.raw
end

function m.frozen_agent(a)
  if not a.raw then
    local id, idle, stream, ring = a.id, a.idle, a.was_stream, a.was_ring
    a.id, a.idle, a.was_stream, a.was_ring = nil, nil, nil, nil
    local raw = pack(a)
    a.id, a.idle, a.was_stream, a.was_ring, a.raw = id, idle, stream, ring, raw
  end
  return a.raw
end

function m.frozen_offer(o)
  if not o.raw then
    local epoch = o.epoch
    o.epoch = nil
    local raw = pack(o)
    o.epoch, o.raw = epoch, raw
  end
  return o.raw
end

function m.frozen_callback(cb)
  if not cb.raw then
    local id, lined, was, due = cb.id, cb.lined, cb.was, cb.was_due
    cb.id, cb.lined, cb.was, cb.was_due, cb.is_callback = nil, nil, nil, nil, nil
    local raw = pack(cb)
    cb.id, cb.lined, cb.was, cb.was_due, cb.is_callback, cb.raw = id, lined, was, due, true, raw
  end
  return cb.raw
end

-- many calls a command with a list of any length.
function m.many(command, key, args)
  local n = #args
  for from = 1, n, 2000 do call(command, key, unpack(args, from, min(from + 1999, n))) end
end

-- set_timer says when a record's timer fires; nil: never. Timers due together
-- fire in the order of their class, then of the records' own sequence. Nothing is
-- due before first_due, which is exact when the timers are written.
function m.set_timer(class, seq, id, at)
  local member, first = class .. format('%011x', seq) .. id, m.first_due
  m.timers[member] = at or false
  if member == m.first_timer then
    if at ~= first then m.first_moved = true end
  elseif at and (not first or at < first) then
    m.first_due, m.first_timer, m.first_moved = at, member, false
  end
end

function m.flush_agents()
  local args, came, left, ring, unring = {}, {}, {}, {}, {}
  for id, a in pairs(m.touched_agents) do
    local stream, rings = m.stream_of(a), a.ring and a.state ~= AGENT_SIGNED_OUT or nil
    if stream ~= a.was_stream then
      local tail = '\0' .. format('%011x', a.ord) .. id
      if a.was_stream then left[#left + 1] = a.was_stream .. tail end
      if stream then came[#came + 1] = 0; came[#came + 1] = stream .. tail end
      a.was_stream = stream
    end
    if rings ~= a.was_ring then
      local list = rings and ring or unring
      list[#list + 1] = id
      a.was_ring = rings
    end
    args[#args + 1] = id
    args[#args + 1] = m.frozen_agent(a)
  end
  m.many('HSET', key_agents, args)
  if came[1] then m.many('ZADD', key_streams, came) end
  if left[1] then m.many('ZREM', key_streams, left) end
  if ring[1] then m.many('SADD', key_ringing, ring) end
  if unring[1] then m.many('SREM', key_ringing, unring) end
  m.touched_agents = {}
end

-- flush_callbacks also keeps the counts by state and the sets by due time and
-- deadline that a snapshot reads.
function m.flush_callbacks()
  local args = {}
  for id, cb in pairs(m.touched_callbacks) do
    if cb.state ~= cb.was then
      if cb.was then m.meta['callbacks_' .. cb.was] = m.meta['callbacks_' .. cb.was] - 1 end
      m.meta['callbacks_' .. cb.state] = (m.meta['callbacks_' .. cb.state] or 0) + 1
      cb.was = cb.state
    end
    if cb.state <= CALLBACK_CLAIMED then
      call('ZADD', key_promises, cb.due_at, 'due:' .. id, DEADLINES + cb.deadline, 'end:' .. id)
    else
      call('ZREM', key_promises, 'due:' .. id, 'end:' .. id)
    end
    args[#args + 1] = id
    args[#args + 1] = m.frozen_callback(cb)
  end
  m.many('HSET', key_callbacks, args)
  m.touched_callbacks = {}
end

-- flush_timers asks for the next timer only when the one that was next has moved.
function m.flush_timers()
  local set, unset = {}, {}
  for member, at in pairs(m.timers) do
    if at then
      set[#set + 1] = format('%d', at) -- Redis writes a number out with 17 digits, slowly
      set[#set + 1] = member
    else
      unset[#unset + 1] = member
    end
  end
  if set[1] then m.many('ZADD', key_timers, set) end
  if unset[1] then m.many('ZREM', key_timers, unset) end
  m.timers = {}
  if m.first_moved then m.due() end
end

-- flush writes everything that was touched.
function m.flush()
  if next(m.touched_calls) then
    local args = {}
    for id, c in pairs(m.touched_calls) do
      args[#args + 1] = id
      args[#args + 1] = m.frozen_call(c)
    end
    m.many('HSET', key_calls, args)
    m.touched_calls = {}
  end
  if next(m.touched_agents) then m.flush_agents() end
  if next(m.touched_offers) then
    local args = {}
    for epoch, o in pairs(m.touched_offers) do
      if o.ended and epoch <= m.meta.epoch - OFFERS_KEPT then -- it lived on after its time
        call('HDEL', key_offers, format('%d', epoch))
      else
        args[#args + 1] = format('%d', epoch)
        args[#args + 1] = m.frozen_offer(o)
      end
    end
    m.many('HSET', key_offers, args)
    m.touched_offers = {}
  end
  if next(m.touched_callbacks) then m.flush_callbacks() end
  if next(m.timers) then m.flush_timers() end
  if next(m.cohorts) then
    local args = {}
    for field, counts in pairs(m.cohorts) do
      args[#args + 1] = field
      args[#args + 1] = pack(counts)
    end
    m.many('HSET', key_cohorts, args)
    m.cohorts = {}
  end
  for i = 1, #m.events do
    local e = m.events[i]
    call('XADD', key_log, e[1], 'e', pack(e[2]))
    if e[3] % 64 == 0 then call('XTRIM', key_log, 'MAXLEN', '~', m.site.keep_events, 'LIMIT', 1000) end
  end
  m.events = {}
  local args = {}
  for name, q in pairs(m.touched_queues) do
    args[#args + 1] = 'state:' .. name
    args[#args + 1] = pack(q.s)
  end
  m.touched_queues = {}
  m.meta.now = m.now
  local packed = pack(m.meta)
  if packed ~= m.meta_before then
    args[#args + 1] = 'meta'
    args[#args + 1] = packed
    m.meta_before = packed
  end
  if args[1] then call('HSET', key_site, unpack(args)) end
end

-- emit writes one event.
function m.emit(e)
  local seq = (m.meta.last_event or 0) + 1
  m.meta.last_event, e.at = seq, m.now
  m.events[#m.events + 1] = { format('%d-0', seq), e, seq }
end

-- emit_call writes one event of a call, with what every such event says.
function m.emit_call(c, e)
  e.call_id, e.queue, e.tier, e.switch, e.joined_at, e.late = c.id, c.queue, c.tier, c.switch, c.joined_at, c.late
  m.emit(e)
  local list = c.events
  if not list then
    list = {}
    c.events = list
  end
  if #list >= 100 then table.remove(list, 2) end -- the first one tells of the arrival
  list[#list + 1] = m.meta.last_event
  m.touch_call(c)
end

-- emit_callback writes one event of a callback, with what every such event says.
function m.emit_callback(cb, e)
  e.callback_id, e.queue, e.tier = cb.id, cb.queue, cb.tier
  m.touch_callback(cb)
  m.emit(e)
end

function m.contains(list, x)
  if list then
    for i = 1, #list do
      if list[i] == x then return true end
    end
  end
  return false
end

-- given returns nil for an argument that says nothing.
function m.given(s) return s ~= '' and s or nil end

-- number_given returns nil for a number that says nothing.
function m.number_given(s) return s ~= '0' and tonumber(s) or nil end

-- refuse ends the command with an error; nothing has been changed so far.
function m.refuse(kind, field, detail, a, b) error({ refused = { kind, field, detail, a, b } }) end
