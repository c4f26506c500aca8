#!lua flags=allow-oom
-- The poll or stream with this token has ended.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 agent, 7 token, 8 '1': the client vanished
-- returns  the agent and the live offer
-- cost     O(log n); with an offer to give back that of decline.lua
return m.run('detach', function() return m.detach(m.args[6], m.args[7], m.args[8] == '1') end)
