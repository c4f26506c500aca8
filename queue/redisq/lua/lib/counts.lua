-- Counters: queue/counts.go. A cohort is kept twice: for its five minutes and
-- for its day in the site's zone, so that "today" is one record.

-- zone_offset returns what a zone's clocks add to UTC, in milliseconds.
function m.zone_offset(changes, at)
  local offset = changes[1][2]
  for i = 2, #changes do
    if changes[i][1] > at then break end
    offset = changes[i][2]
  end
  return offset
end

-- zone returns a zone's table of clock changes: { { from, offset }, ... }.
function m.zone(name)
  if not m.zone_tables then m.zone_tables = decode(call('HGET', key_site, 'zones')) end
  return m.zone_tables[name]
end

-- day_of returns the number of the day at an instant, as the site's clocks read.
function m.day_of(at)
  return floor((at + (m.site.zone_offset or m.zone_offset(m.zone(m.word('zone')), at))) / DAY)
end

function m.cohort_of(field)
  local counts = m.cohorts[field]
  if not counts then
    counts = m.thaw(key_cohorts, field, call('HGET', key_cohorts, field)) or {}
    counts.raw = nil
    m.cohorts[field] = counts
  end
  return counts
end

-- count adds n to a counter of the cohort in which a call joined and, unless it
-- is a cohort's only, to the running total.
function m.count(q, tier, joined, what, n)
  local start = joined - joined % COHORT_INTERVAL
  local queue_tier = format('%d/%d', q.no, tier)
  local c = m.cohort_of(format('%d/%s', start, queue_tier))
  c[what] = (c[what] or 0) + n
  c = m.cohort_of(format('day %d/%s', m.day_of(start), queue_tier))
  c[what] = (c[what] or 0) + n
  call('HINCRBY', key_totals, queue_tier .. '/' .. what, n)
end

function m.count_total(q, tier, what, n) call('HINCRBY', key_totals, format('%d/%d/%s', q.no, tier, what), n) end

-- wait_bucket returns the number of the histogram's bucket for an answered wait.
function m.wait_bucket(wait)
  local bounds = WAIT_BOUNDS
  for i = 1, #bounds do
    if wait <= bounds[i] then return i - 1 end
  end
  return #bounds
end

-- wait_of returns how long the caller waited: until the answer, until the end
-- when there was no answer, or until now.
function m.wait_of(c)
  if not c.joined_at then return 0 end
  if c.answered_at then return c.answered_at - c.joined_at end
  if c.ended_at then return c.ended_at - c.joined_at end
  return max(0, m.now - c.joined_at)
end

-- count_end counts how a call's wait ended: with an answer or one of the
-- terminal states. Each call comes here once.
function m.count_end(c, state)
  local q, wait = m.get_queue(c.queue), m.wait_of(c)
  if c.late then m.count(q, c.tier, c.joined_at, 'late_waiting', -1) end
  if state == CALL_ANSWERED then
    m.count(q, c.tier, c.joined_at, c.late and 'answered_late' or 'answered_in_time', 1)
    if wait ~= 0 then m.count(q, c.tier, c.joined_at, 'answered_wait', wait) end
    m.count_total(q, c.tier, 'wait' .. m.wait_bucket(wait), 1)
  elseif state == CALL_ABANDONED then
    local how = c.late and 'abandoned_late' or 'abandoned_in_time'
    if wait < m.site.short_abandon then how = 'abandoned_short' end
    m.count(q, c.tier, c.joined_at, how, 1)
    if wait ~= 0 then m.count(q, c.tier, c.joined_at, 'abandoned_wait', wait) end
  elseif state == CALL_TIMED_OUT then
    m.count(q, c.tier, c.joined_at, 'timed_out', 1)
  elseif state == CALL_OVERFLOWED then
    m.count(q, c.tier, c.joined_at, 'overflowed', 1)
  elseif state == CALL_REFUSED then
    m.count(q, c.tier, c.joined_at, 'refused', 1)
  end
end

-- count_waiting adds n to the calls that wait in c's queue and tier.
function m.count_waiting(c, n)
  local q = m.get_queue(c.queue)
  local s, tier = q.s, c.tier
  s.waiting = (s.waiting or 0) + n
  s['waiting_' .. tier] = (s['waiting_' .. tier] or 0) + n
  if c.late then s['late_' .. tier] = (s['late_' .. tier] or 0) + n end
  if tier == TIER_VIP then m.meta.vips = (m.meta.vips or 0) + n end
  m.touch_queue(q)
end

-- recount moves a waiting call's counts to another queue or tier.
function m.recount(c, to, tier)
  m.count_waiting(c, -1)
  if c.late then
    m.count(m.get_queue(c.queue), c.tier, c.joined_at, 'late_waiting', -1)
    m.count(to, tier, c.joined_at, 'late_waiting', 1)
  end
  c.queue, c.tier = to.name, tier
  m.count_waiting(c, 1)
end
