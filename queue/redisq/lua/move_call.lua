#!lua flags=allow-oom
-- A supervisor puts a waiting call into another queue.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 call, 7 queue, 8 by whom
-- returns  the call, its position and estimated wait
-- cost     that of arrive.lua and attach.lua
return m.run('move_call', function() return m.move_call(m.args[6], m.args[7], m.given(m.args[8])) end)
