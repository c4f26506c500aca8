#!lua flags=allow-oom
-- The claimant says how the attempt went.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 callback, 7 claimant, 8 result, 9 note
-- returns  the callback
-- cost     O(log n); when the claimant is an agent, that of attach.lua
return m.run('report_callback', function() return m.report_callback(m.args[6], m.args[7], tonumber(m.args[8]), m.args[9]) end)
