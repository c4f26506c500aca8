-- Counters: queue/counts.go. A cohort is kept twice: for its five minutes and
-- for its day in the site's zone, so that "today" is one record.

-- zone_offset returns what a zone's clocks add to UTC, in milliseconds.
local function zone_offset(changes, at)
  local offset = changes[1][2]
  for i = 2, #changes do
    if changes[i][1] > at then break end
    offset = changes[i][2]
  end
  return offset
end

-- zone returns a zone's table of clock changes: { { from, offset }, ... }.
local function zone(name)
  if not zone_tables then zone_tables = decode(call('HGET', key_site, 'zones')) end
  return zone_tables[name]
end

-- day_of returns the number of the day at an instant, as the site's clocks read.
local function day_of(at)
  return floor((at + (site.zone_offset or zone_offset(zone(site.zone), at))) / DAY)
end

local function cohort_of(field)
  local counts = cohorts[field]
  if not counts then
    counts = thaw(key_cohorts, field, call('HGET', key_cohorts, field)) or {}
    counts.raw = nil
    cohorts[field] = counts
  end
  return counts
end

-- count adds n to a counter of the cohort in which a call joined and, unless it
-- is a cohort's only, to the running total.
local function count(q, tier, joined, what, n)
  local start = joined - joined % COHORT_INTERVAL
  local queue_tier = format('%d/%d', q.no, tier)
  local c = cohort_of(format('%.0f/%s', start, queue_tier))
  c[what] = (c[what] or 0) + n
  c = cohort_of(format('day %d/%s', day_of(start), queue_tier))
  c[what] = (c[what] or 0) + n
  call('HINCRBY', key_totals, queue_tier .. '/' .. what, n)
end

local function count_total(q, tier, what, n) call('HINCRBY', key_totals, format('%d/%d/%s', q.no, tier, what), n) end

-- wait_bucket returns the number of the histogram's bucket for an answered wait.
local function wait_bucket(wait)
  local bounds = WAIT_BOUNDS
  for i = 1, #bounds do
    if wait <= bounds[i] then return i - 1 end
  end
  return #bounds
end

-- wait_of returns how long the caller waited: until the answer, until the end
-- when there was no answer, or until now.
local function wait_of(c)
  if not c.joined_at then return 0 end
  if c.answered_at then return c.answered_at - c.joined_at end
  if c.ended_at then return c.ended_at - c.joined_at end
  return max(0, now - c.joined_at)
end

-- count_end counts how a call's wait ended: with an answer or one of the
-- terminal states. Each call comes here once.
local function count_end(c, state)
  local q, wait = get_queue(c.queue), wait_of(c)
  if c.late then count(q, c.tier, c.joined_at, 'late_waiting', -1) end
  if state == CALL_ANSWERED then
    count(q, c.tier, c.joined_at, c.late and 'answered_late' or 'answered_in_time', 1)
    if wait ~= 0 then count(q, c.tier, c.joined_at, 'answered_wait', wait) end
    count_total(q, c.tier, 'wait' .. wait_bucket(wait), 1)
  elseif state == CALL_ABANDONED then
    local how = c.late and 'abandoned_late' or 'abandoned_in_time'
    if wait < site.short_abandon then how = 'abandoned_short' end
    count(q, c.tier, c.joined_at, how, 1)
    if wait ~= 0 then count(q, c.tier, c.joined_at, 'abandoned_wait', wait) end
  elseif state == CALL_TIMED_OUT then
    count(q, c.tier, c.joined_at, 'timed_out', 1)
  elseif state == CALL_OVERFLOWED then
    count(q, c.tier, c.joined_at, 'overflowed', 1)
  elseif state == CALL_REFUSED then
    count(q, c.tier, c.joined_at, 'refused', 1)
  end
end

-- count_waiting adds n to the calls that wait in c's queue and tier.
local function count_waiting(c, n)
  local q = get_queue(c.queue)
  local s, tier = q.s, c.tier
  s.waiting = (s.waiting or 0) + n
  s['waiting_' .. tier] = (s['waiting_' .. tier] or 0) + n
  if c.late then s['late_' .. tier] = (s['late_' .. tier] or 0) + n end
  if tier == TIER_VIP then meta.vips = (meta.vips or 0) + n end
  touch_queue(q)
end

-- recount moves a waiting call's counts to another queue or tier.
local function recount(c, to, tier)
  count_waiting(c, -1)
  if c.late then
    count(get_queue(c.queue), c.tier, c.joined_at, 'late_waiting', -1)
    count(to, tier, c.joined_at, 'late_waiting', 1)
  end
  c.queue, c.tier = to.name, tier
  count_waiting(c, 1)
end
