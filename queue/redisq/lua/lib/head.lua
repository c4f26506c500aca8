-- What every script begins with: names for the functions it uses most and the
-- unit of work, which lib/unit.lua fills and writes.
--
-- How these files are put together is told in queue/redisq/scripts.go: names in
-- capitals are values of package queue, fields of records get short names, and
-- a script holds only the functions it can reach. nil stands for Go's zero.
local call, pack, decode = redis.call, cmsgpack.pack, cmsgpack.unpack
local format, concat, max, min, floor = string.format, table.concat, math.max, math.min, math.floor

local nonce, request_id, request_print = ARGV[3], ARGV[4], ARGV[5]
local now  -- the command's instant
local site -- the site's settings
local meta -- the site's counters
local meta_before

-- Records by id as loaded and changed; false is known to be missing.
local calls, agents, offers, callbacks, queues, owners, switches = {}, {}, {}, {}, {}, {}, {}

-- What is written at the end.
local touched_calls, touched_agents, touched_offers, touched_callbacks, touched_queues = {}, {}, {}, {}, {}
local timers, cohorts, events, damaged = {}, {}, {}, {}
local zone_tables -- of clock changes, when first asked for
