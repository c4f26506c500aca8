-- What every script begins with: names for what it uses most, and m, the site at
-- work. m holds the functions that the script needs and the unit of work, which
-- lib/unit.lua fills and writes.
--
-- How these files are put together is told in queue/redisq/scripts.go: names in
-- capitals are values of package queue, and fields of records get short names. nil
-- stands for Go's zero.
local call, pack, decode = redis.call, cmsgpack.pack, cmsgpack.unpack
local format, concat, max, min, floor = string.format, table.concat, math.max, math.min, math.floor
local m
m = {
  args = ARGV, nonce = ARGV[3], request_id = ARGV[4], request_print = ARGV[5],
  now = false, -- the command's instant
  site = false, -- its settings
  meta = false, -- its counters
  meta_before = false,
  first_timer = false, first_due = false, first_moved = false, -- the next timer, and whether it is another by now
  callback_policy = false, zone_tables = false, words = false, -- when first asked for

  -- Records by id as loaded and changed; false is known to be missing.
  calls = {}, agents = {}, offers = {}, callbacks = {}, queues = {}, owners = {}, switches = {},

  -- What is written at the end.
  touched_calls = {}, touched_agents = {}, touched_offers = {}, touched_callbacks = {}, touched_queues = {},
  timers = {}, cohorts = {}, events = {}, damaged = {},

  -- The functions follow.
