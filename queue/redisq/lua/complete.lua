#!lua flags=allow-oom
-- The agent ends the call: wrap-up, or the next call.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 agent, 7 call
-- returns  the call and the agent
-- cost     that of attach.lua
return m.run('complete', function() return m.complete(m.args[6], m.args[7]) end)
