#!lua flags=allow-oom
-- The agent gives an offer back to its old place, and is offered the next call.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 agent or '', 7 epoch, 8 reason, 9 '1': the
--          phone could not be reached, the agent becomes not ready
-- returns  the agent
-- cost     O(log n) for each queue of the agents at hand, plus the calls ahead
--          that they declined
return m.run('decline', function() return m.decline(m.args[6], tonumber(m.args[7]), m.given(m.args[8]), m.args[9] == '1') end)
