#!lua flags=allow-oom
-- An agent comes to work, or changes queues.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 agent, 7 a packed agent: endpoint, ring,
--          wrap_up, services as { queue, level }
-- returns  the agent
-- cost     O(log n) for each queue, plus the calls held for the agent and those
--          declined in the queues he leaves
return m.run('sign_in', function() return m.sign_in(m.args[6], decode(m.args[7])) end)
