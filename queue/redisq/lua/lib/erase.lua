-- What a person is known by: index_of finds by number, erase_* takes it out
-- (queue/erase.go), reseal_* puts it under another key.

-- index_of returns what stands for a number in keys: the number itself, or the
-- index that a sealed one carries behind its first byte (internal/seal).
function m.index_of(caller)
  if caller:byte(1) == 1 then return caller:sub(2, 17) end
  return caller
end

function m.erase_call(c, index, res)
  if not c or not c.caller or m.index_of(c.caller) ~= index then return end
  if c.state < CALL_COMPLETED then
    res.live = res.live + 1
    return
  end
  c.caller, c.attributes = nil, nil
  m.touch_call(c)
  res.erased_calls = res.erased_calls + 1
end

function m.erase_callback(cb, index, res)
  if not cb or not cb.caller or m.index_of(cb.caller) ~= index then return end
  if cb.state == CALLBACK_CLAIMED then
    res.live = res.live + 1
    return
  end
  if m.is_open_callback(cb) then m.cancel_callback(cb.id, REASON_ERASED) end
  cb.caller, cb.note = nil, nil
  m.touch_callback(cb)
  res.erased_callbacks = res.erased_callbacks + 1
end

-- replace_answer puts another first answer in the place of one that nobody has
-- changed since the daemon read it.
function m.replace_answer(field, old, new)
  if call('HGET', key_requests, field) == old then call('HSET', key_requests, field, new) end
end

-- reseal_call gives a call's number and attributes the form that a new key gives
-- them, unless the call is another one by now.
function m.reseal_call(c, old, new, attributes)
  if not c or c.caller ~= old then return end
  local waits = c.state == CALL_WAITING or c.state == CALL_OFFERED
  if waits then m.unlink_caller(c) end
  c.caller, c.attributes = new, attributes
  if waits then m.link_caller(c) end
  m.touch_call(c)
end

function m.reseal_callback(cb, old, new, note)
  if not cb or cb.caller ~= old then return end
  local no = m.get_queue(cb.queue).no
  if cb.caller and m.is_open_callback(cb) then
    local field = no .. ' ' .. m.index_of(cb.caller)
    if call('HGET', key_promised, field) == cb.id then
      call('HDEL', key_promised, field)
      call('HSET', key_promised, no .. ' ' .. m.index_of(new), cb.id)
    end
  end
  cb.caller, cb.note = new, note
  m.touch_callback(cb)
end
