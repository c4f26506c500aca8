#!lua flags=allow-oom
-- A callback gets another due time.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 callback, 7 due at
-- returns  the callback
-- cost     O(log n)
return m.run('reschedule_callback', function() return m.reschedule_callback(m.args[6], tonumber(m.args[7])) end)
