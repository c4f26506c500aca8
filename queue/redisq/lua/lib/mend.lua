-- What lua/mend.lua does to one record. Each function returns in words what was
-- wrong, nil when nothing was.

-- lives reports whether an offer is live and known to its agent.
function m.lives(o, id)
  if not o or o.ended or (o.call_id or o.callback_id) ~= id then return false end
  local a = m.get_agent(o.agent)
  return a ~= nil and a.offer == o.epoch
end

function m.in_line(e) return call('ZSCORE', key_lines, m.line_member(e)) end

function m.armed(class, seq, id) return call('ZSCORE', key_timers, class .. format('%011x', seq) .. id) end

-- drop_offer ends an offer that nobody holds any more.
function m.drop_offer(o)
  if o and not o.ended then
    o.ended = ENDED_UNDELIVERED
    m.touch_offer(o)
  end
end

function m.mend_call(c)
  if not c or c.state >= CALL_COMPLETED then return nil end
  local q = m.get_queue(c.queue)
  if not q then return nil end
  local wrong
  if c.state == CALL_OFFERED and not m.lives(m.get_offer(c.offer), c.id) then
    m.drop_offer(m.get_offer(c.offer))
    c.state, c.agent, c.offer, c.held_until, wrong = CALL_WAITING, nil, nil, nil, 'it was offered without an offer'
    m.line_up(c)
  elseif c.state == CALL_WAITING and c.held then
    local a = m.get_agent(c.preferred)
    if not a or not call('ZSCORE', key_held, m.held_member(c, a)) then
      c.held, c.held_until, wrong = nil, nil, 'it was held for nobody'
      m.line_up(c)
    end
  elseif c.state == CALL_WAITING and not m.in_line(c) then
    wrong = 'it stood in no line'
    m.line_up(c)
  end
  if not m.armed('0', c.seq, c.id) then
    m.arm_call(c)
    local at = m.timers['0' .. format('%011x', c.seq) .. c.id]
    if at then wrong = wrong or 'it had no timer' end
  end
  if wrong then
    m.touch_call(c)
    m.arm_call(c)
    if c.state == CALL_WAITING then m.place(c) end
  end
  return wrong
end

function m.mend_callback(cb)
  if not cb or not m.is_open_callback(cb) then return nil end
  local wrong
  if cb.state == CALLBACK_OFFERED and not m.lives(m.get_offer(cb.offer), cb.id) then
    m.drop_offer(m.get_offer(cb.offer))
    cb.state, cb.offer, wrong = CALLBACK_DUE, nil, 'it was offered without an offer'
    m.line_up(cb)
  elseif cb.state == CALLBACK_DUE and not m.in_line(cb) then
    wrong = 'it stood in no line'
    m.line_up(cb)
  end
  if not m.armed('2', cb.seq, cb.id) then wrong = wrong or 'it had no timer' end
  if wrong then
    m.touch_callback(cb)
    m.arm_callback(cb)
    if cb.state == CALLBACK_DUE then m.place(cb) end
  end
  return wrong
end
