-- The unit of work: records are loaded when they are first asked for, changed
-- as tables, and written once at the end. Sorted sets are written at once,
-- since the decision goes on to search them.

-- thaw decodes a stored record. One that cannot be read is set aside under the
-- names of its key and field, told to the daemon, and counts as missing.
local function thaw(key, id, raw)
  if not raw then return nil end
  local ok, record = pcall(decode, raw)
  if ok and type(record) == 'table' then
    record.raw = raw
    return record
  end
  call('HSET', key_damaged, key .. ' ' .. id, raw)
  call('HDEL', key, id)
  damaged[#damaged + 1] = key .. ' ' .. id
end

local function load(key, id) return thaw(key, id, call('HGET', key, id)) end

-- link_call adds what a record at work carries beside its fields.
local function link_call(c, id)
  c.id = id
  if c.state == CALL_WAITING then
    if c.held_until then c.held = true else c.lined = true end
  end
  calls[id] = c
  return c
end

local function get_call(id)
  if not id then return nil end
  local c = calls[id]
  if c == nil then
    c = load(key_calls, id)
    if c then return link_call(c, id) end
    calls[id] = false
  end
  return c or nil
end

local function get_callback(id)
  if not id then return nil end
  local cb = callbacks[id]
  if cb == nil then
    cb = load(key_callbacks, id) or false
    if cb then
      cb.id, cb.is_callback, cb.was = id, true, cb.state
      cb.lined = cb.state == CALLBACK_DUE or nil
    end
    callbacks[id] = cb
  end
  return cb or nil
end

-- stream_of names the daemon whose lease an agent's stream lives by.
local function stream_of(a) return a.presence == PRESENT_STREAM and a.owner or nil end

local function link_agent(a, id)
  a.id = id
  a.idle = a.state == AGENT_READY and a.presence ~= nil or nil
  a.was_stream, a.was_ring = stream_of(a), a.ring and a.state ~= AGENT_SIGNED_OUT or nil
  agents[id] = a
  return a
end

local function get_agent(id)
  if not id then return nil end
  local a = agents[id]
  if a == nil then
    a = load(key_agents, id)
    if a then return link_agent(a, id) end
    agents[id] = false
  end
  return a or nil
end

local function get_offer(epoch)
  if not epoch then return nil end
  local o = offers[epoch]
  if o == nil then
    o = load(key_offers, format('%.0f', epoch)) or false
    if o then o.epoch = epoch end
    offers[epoch] = o
  end
  return o or nil
end

-- get_queue returns a queue's settings, with what it has learned and counted in s.
local function get_queue(name)
  if not name then return nil end
  local q = queues[name]
  if q == nil then
    local v = call('HMGET', key_site, 'queue:' .. name, 'state:' .. name)
    q = v[1] and decode(v[1]) or false
    if q then
      q.name = name
      q.s = thaw(key_site, 'state:' .. name, v[2]) or {}
      q.s.raw = nil
    end
    queues[name] = q
  end
  return q or nil
end

local function get_switch(name)
  if not name then return nil end
  local s = switches[name]
  if s == nil then
    s = load(key_daemons, 's:' .. name) or false
    switches[name] = s
  end
  return s or nil
end

local function touch_call(c)
  c.raw = nil
  touched_calls[c.id] = c
end

local function touch_agent(a)
  a.raw = nil
  touched_agents[a.id] = a
end

local function touch_offer(o)
  o.raw = nil
  touched_offers[o.epoch] = o
end

local function touch_callback(cb)
  cb.raw = nil
  touched_callbacks[cb.id] = cb
end

local function touch_queue(q) touched_queues[q.name] = q end

-- The packed form of a record, without what only a record at work carries.

local function frozen_call(c)
  if not c.raw then
    local id, lined, held = c.id, c.lined, c.held
    c.id, c.lined, c.held = nil, nil, nil
    local raw = pack(c)
    c.id, c.lined, c.held, c.raw = id, lined, held, raw
  end
  return c.raw
end

local function frozen_agent(a)
  if not a.raw then
    local id, idle, stream, ring = a.id, a.idle, a.was_stream, a.was_ring
    a.id, a.idle, a.was_stream, a.was_ring = nil, nil, nil, nil
    local raw = pack(a)
    a.id, a.idle, a.was_stream, a.was_ring, a.raw = id, idle, stream, ring, raw
  end
  return a.raw
end

local function frozen_offer(o)
  if not o.raw then
    local epoch = o.epoch
    o.epoch = nil
    local raw = pack(o)
    o.epoch, o.raw = epoch, raw
  end
  return o.raw
end

local function frozen_callback(cb)
  if not cb.raw then
    local id, lined, was, due = cb.id, cb.lined, cb.was, cb.was_due
    cb.id, cb.lined, cb.was, cb.was_due, cb.is_callback = nil, nil, nil, nil, nil
    local raw = pack(cb)
    cb.id, cb.lined, cb.was, cb.was_due, cb.is_callback, cb.raw = id, lined, was, due, true, raw
  end
  return cb.raw
end

-- many calls a command with a list of any length.
local function many(command, key, args)
  local n = #args
  for from = 1, n, 2000 do call(command, key, unpack(args, from, min(from + 1999, n))) end
end

-- set_timer says when a record's timer fires; nil: never. Timers due together
-- fire in the order of their class, then of the records' own sequence.
local function set_timer(class, seq, id, at)
  timers[class .. format('%011x', seq) .. id] = at or false
end

local function flush_agents()
  local args, came, left, ring, unring = {}, {}, {}, {}, {}
  for id, a in pairs(touched_agents) do
    local stream, rings = stream_of(a), a.ring and a.state ~= AGENT_SIGNED_OUT or nil
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
    args[#args + 1] = frozen_agent(a)
  end
  many('HSET', key_agents, args)
  if came[1] then many('ZADD', key_streams, came) end
  if left[1] then many('ZREM', key_streams, left) end
  if ring[1] then many('SADD', key_ringing, ring) end
  if unring[1] then many('SREM', key_ringing, unring) end
  touched_agents = {}
end

-- flush_callbacks also keeps the counts by state and the sets by due time and
-- deadline that a snapshot reads.
local function flush_callbacks()
  local args = {}
  for id, cb in pairs(touched_callbacks) do
    if cb.state ~= cb.was then
      if cb.was then meta['callbacks_' .. cb.was] = meta['callbacks_' .. cb.was] - 1 end
      meta['callbacks_' .. cb.state] = (meta['callbacks_' .. cb.state] or 0) + 1
      cb.was = cb.state
    end
    if cb.state <= CALLBACK_CLAIMED then
      call('ZADD', key_promises, cb.due_at, 'due:' .. id, DEADLINES + cb.deadline, 'end:' .. id)
    else
      call('ZREM', key_promises, 'due:' .. id, 'end:' .. id)
    end
    args[#args + 1] = id
    args[#args + 1] = frozen_callback(cb)
  end
  many('HSET', key_callbacks, args)
  touched_callbacks = {}
end

local function flush_timers()
  local set, unset = {}, {}
  for member, at in pairs(timers) do
    if at then
      set[#set + 1] = at
      set[#set + 1] = member
    else
      unset[#unset + 1] = member
    end
  end
  if set[1] then many('ZADD', key_timers, set) end
  if unset[1] then many('ZREM', key_timers, unset) end
  timers = {}
end

-- flush writes everything that was touched.
local function flush()
  if next(touched_calls) then
    local args = {}
    for id, c in pairs(touched_calls) do
      args[#args + 1] = id
      args[#args + 1] = frozen_call(c)
    end
    many('HSET', key_calls, args)
    touched_calls = {}
  end
  if next(touched_agents) then flush_agents() end
  if next(touched_offers) then
    local args = {}
    for epoch, o in pairs(touched_offers) do
      if o.ended and epoch <= meta.epoch - OFFERS_KEPT then -- it lived on after its time
        call('HDEL', key_offers, format('%.0f', epoch))
      else
        args[#args + 1] = format('%.0f', epoch)
        args[#args + 1] = frozen_offer(o)
      end
    end
    many('HSET', key_offers, args)
    touched_offers = {}
  end
  if next(touched_callbacks) then flush_callbacks() end
  if next(timers) then flush_timers() end
  if next(cohorts) then
    local args = {}
    for field, counts in pairs(cohorts) do
      args[#args + 1] = field
      args[#args + 1] = pack(counts)
    end
    many('HSET', key_cohorts, args)
    cohorts = {}
  end
  for i = 1, #events do
    local e = events[i]
    call('XADD', key_log, e[1], 'e', pack(e[2]))
    if e[3] % 64 == 0 then call('XTRIM', key_log, 'MAXLEN', '~', site.keep_events, 'LIMIT', 1000) end
  end
  events = {}
  local args = {}
  for name, q in pairs(touched_queues) do
    args[#args + 1] = 'state:' .. name
    args[#args + 1] = pack(q.s)
  end
  touched_queues = {}
  meta.now = now
  local packed = pack(meta)
  if packed ~= meta_before then
    args[#args + 1] = 'meta'
    args[#args + 1] = packed
    meta_before = packed
  end
  if args[1] then call('HSET', key_site, unpack(args)) end
end

-- emit writes one event.
local function emit(e)
  local seq = (meta.last_event or 0) + 1
  meta.last_event, e.at = seq, now
  events[#events + 1] = { format('%.0f-0', seq), e, seq }
end

-- emit_call writes one event of a call, with what every such event says.
local function emit_call(c, e)
  e.call_id, e.queue, e.tier, e.switch, e.joined_at, e.late = c.id, c.queue, c.tier, c.switch, c.joined_at, c.late
  emit(e)
  local list = c.events
  if not list then
    list = {}
    c.events = list
  end
  if #list >= 100 then table.remove(list, 2) end -- the first one tells of the arrival
  list[#list + 1] = meta.last_event
  touch_call(c)
end

-- emit_callback writes one event of a callback, with what every such event says.
local function emit_callback(cb, e)
  e.callback_id, e.queue, e.tier = cb.id, cb.queue, cb.tier
  touch_callback(cb)
  emit(e)
end

local function contains(list, x)
  if list then
    for i = 1, #list do
      if list[i] == x then return true end
    end
  end
  return false
end

-- given returns nil for an argument that says nothing.
local function given(s) return s ~= '' and s or nil end

-- number_given returns nil for a number that says nothing.
local function number_given(s) return s ~= '0' and tonumber(s) or nil end

-- refuse ends the command with an error; nothing has been changed so far.
local function refuse(kind, field, detail, a, b) error({ refused = { kind, field, detail, a, b } }) end
