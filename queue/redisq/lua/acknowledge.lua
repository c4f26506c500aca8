#!lua flags=allow-oom
-- The softphone has the offer.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 agent, 7 epoch
-- returns  the offer
-- cost     O(log n) in timers
return m.run('acknowledge', function() return m.acknowledge(m.args[6], tonumber(m.args[7])) end)
