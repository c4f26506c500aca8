#!lua flags=allow-oom
-- The agent answers: the service-level clock stops.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 agent or '', 7 the offer's epoch
-- returns  the call or callback, and the agent
-- cost     O(log n)
return m.run('accept', function() return m.accept(m.args[6], tonumber(m.args[7])) end)
