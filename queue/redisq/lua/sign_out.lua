#!lua flags=allow-oom
-- An agent's day ends; a live offer goes back to its place.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 agent, 7 '1': while talking too
-- returns  the agent
-- cost     as sign_in.lua
return m.run('sign_out', function() return m.sign_out(m.args[6], m.args[7] == '1') end)
