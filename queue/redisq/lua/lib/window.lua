-- The part of the day in which callers are rung: callback/window.go. It works
-- on the site's table of clock changes; the wall clock is UTC plus an offset
-- between two of them.

-- policy returns the settings of callbacks.
function m.policy()
  if not m.callback_policy then m.callback_policy = decode(m.word('policy')) end
  return m.callback_policy
end

-- window returns the policy's bounds, in milliseconds of the day, and nothing
-- when the window is the whole day.
function m.window()
  local p = m.policy()
  if p.window_to - p.window_from == DAY then return nil end
  return p.window_from, p.window_to
end

-- stretch returns the zone's offset at an instant, and from when until when it holds.
function m.stretch(at)
  local changes = m.zone(m.policy().zone)
  local i = #changes
  while i > 1 and changes[i][1] > at do i = i - 1 end
  return changes[i][2], changes[i][1], changes[i + 1] and changes[i + 1][1]
end

function m.next_inside(at)
  local from, to = m.window()
  if not from then return at end
  while true do
    local offset, _, finish = m.stretch(at)
    local clock = (at + offset) % DAY
    if clock >= from and clock < to then return at end
    local next = at + (from - clock) % DAY
    if not finish or next < finish then return next end
    at = max(finish, at + 1)
  end
end

-- closes returns the earliest instant outside the window that is not before at;
-- nil when the window is the whole day.
function m.closes(at)
  local from, to = m.window()
  if not from then return nil end
  while true do
    local offset, _, finish = m.stretch(at)
    local clock = (at + offset) % DAY
    if clock < from or clock >= to then return at end
    local next = at + to - clock
    if not finish or next < finish then return next end
    at = max(finish, at + 1)
  end
end

-- latest_inside returns the latest instant from floor to ceiling at which the
-- window is open and its wall clock is at least margin away from its end.
function m.latest_inside(lowest, highest, margin)
  local from, to = m.window()
  if not from then return highest >= lowest and highest or nil end
  local last = max(from, min(to - 1, to - margin))
  local at = highest
  while at >= lowest do
    local offset, start = m.stretch(at)
    local clock = (at + offset) % DAY
    if clock >= from and clock <= last then return at end
    local previous = at - (clock - last) % DAY
    if previous >= start then return previous >= lowest and previous or nil end
    at = min(start, at) - 1
  end
  return nil
end

-- before_deadline applies the four rules of callback.Policy.NextDue to a
-- natural time inside the window; nil when no moment is left.
function m.before_deadline(at, natural, deadline)
  local p = m.policy()
  local margin = max(0, min(LAST_CALL, p.retry_delay, p.window_to - p.window_from))
  if natural + margin <= deadline then return natural end
  local latest = m.latest_inside(at + margin, deadline - margin, margin)
  if latest and latest < deadline then return latest end
  return natural < deadline and natural or nil
end
